use std::sync::atomic::{AtomicU64, Ordering};

use thiserror::Error;

/// The memory of one instance: what its linear memories, its tables and the keyed state it makes the host keep may come to
/// together, over all its lanes.
///
/// Bounds nothing else: the host's own structures (batches in flight, compiled code) are bounded elsewhere.
#[derive(Debug)]
pub struct MemoryBudget {
    cap: u64,
    used: AtomicU64,
    peak: AtomicU64,
    breaches: AtomicU64,
}

/// More than the budget has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("asked for {asked} more bytes, {used} of {cap} are in use")]
pub struct OverBudget {
    /// The bytes asked for on top.
    pub asked: u64,
    /// The bytes in use then.
    pub used: u64,
    /// The budget.
    pub cap: u64,
}

impl MemoryBudget {
    /// A budget of `cap` bytes.
    #[must_use]
    pub fn new(cap: u64) -> Self {
        Self { cap, used: AtomicU64::new(0), peak: AtomicU64::new(0), breaches: AtomicU64::new(0) }
    }

    /// Takes `bytes` out of the budget.
    ///
    /// # Errors
    /// When they are not there; nothing is taken then.
    pub fn reserve(&self, bytes: u64) -> Result<(), OverBudget> {
        let taken = self.used.try_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            used.checked_add(bytes).filter(|&sum| sum <= self.cap)
        });
        match taken {
            Ok(before) => {
                self.peak.fetch_max(before + bytes, Ordering::Relaxed);
                Ok(())
            }
            Err(used) => {
                self.breaches.fetch_add(1, Ordering::Relaxed);
                Err(OverBudget { asked: bytes, used, cap: self.cap })
            }
        }
    }

    /// Whether `bytes` would fit now. Asking is no breach.
    #[must_use]
    pub fn has_room(&self, bytes: u64) -> bool {
        self.used().saturating_add(bytes) <= self.cap
    }

    /// Gives `bytes` back.
    pub fn release(&self, bytes: u64) {
        // Never below zero: a release without its reservation is a fault of the host that must not hand out the world.
        let _ = self.used.try_update(Ordering::Relaxed, Ordering::Relaxed, |used| Some(used.saturating_sub(bytes)));
    }

    /// What is in use, and was at the most, in the process that really keeps this budget: here it is only shown.
    pub fn show(&self, used: u64, peak: u64) {
        self.used.store(used, Ordering::Relaxed);
        self.peak.fetch_max(peak, Ordering::Relaxed);
    }

    /// The budget.
    #[must_use]
    pub fn cap(&self) -> u64 {
        self.cap
    }

    /// What is in use now.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// The most that was in use at a time.
    #[must_use]
    pub fn peak(&self) -> u64 {
        self.peak.load(Ordering::Relaxed)
    }

    /// How often more was asked for than there was.
    #[must_use]
    pub fn breaches(&self) -> u64 {
        self.breaches.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_refused_with_the_numbers_and_takes_nothing() {
        let budget = MemoryBudget::new(100);
        budget.reserve(60).unwrap();
        assert_eq!(budget.reserve(41), Err(OverBudget { asked: 41, used: 60, cap: 100 }));
        assert_eq!(budget.reserve(u64::MAX), Err(OverBudget { asked: u64::MAX, used: 60, cap: 100 }));
        budget.reserve(40).unwrap();
        budget.release(100);
        assert_eq!((budget.used(), budget.peak(), budget.breaches()), (0, 100, 2));
    }
}
