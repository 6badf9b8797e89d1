use std::sync::atomic::{AtomicU64, Ordering};

use thiserror::Error;

/// The memory budget of one instance: its linear memories, its tables, and the keyed state that the host
/// keeps for it, summed over all its lanes.
///
/// The host's own structures (batches in flight, compiled code) are not part of the budget; other limits
/// bound them.
#[derive(Debug)]
pub struct MemoryBudget {
    cap: u64,
    used: AtomicU64,
    peak: AtomicU64,
    breaches: AtomicU64,
}

/// An error: a reservation would exceed the budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("asked for {asked} more bytes, {used} of {cap} are in use")]
pub struct OverBudget {
    /// Bytes of the reservation.
    pub asked: u64,
    /// Bytes in use at that time.
    pub used: u64,
    /// Size of the budget in bytes.
    pub cap: u64,
}

impl MemoryBudget {
    /// A budget of `cap` bytes.
    #[must_use]
    pub fn new(cap: u64) -> Self {
        Self { cap, used: AtomicU64::new(0), peak: AtomicU64::new(0), breaches: AtomicU64::new(0) }
    }

    /// Reserves `bytes` of the budget.
    ///
    /// # Errors
    /// [`OverBudget`] if fewer bytes are free. Nothing is reserved then.
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

    /// True if `bytes` would fit now. The call does not count as a breach.
    #[must_use]
    pub fn has_room(&self, bytes: u64) -> bool {
        self.used().saturating_add(bytes) <= self.cap
    }

    /// Returns `bytes` to the budget.
    pub fn release(&self, bytes: u64) {
        // Never below zero: a release without its reservation is a bug of the host, and must not make the
        // budget unlimited.
        let _ = self.used.try_update(Ordering::Relaxed, Ordering::Relaxed, |used| Some(used.saturating_sub(bytes)));
    }

    /// Sets the values of a budget that another process enforces. This process only displays them.
    pub fn show(&self, used: u64, peak: u64) {
        self.used.store(used, Ordering::Relaxed);
        self.peak.fetch_max(peak, Ordering::Relaxed);
    }

    /// The size of the budget in bytes.
    #[must_use]
    pub fn cap(&self) -> u64 {
        self.cap
    }

    /// Bytes in use now.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// The highest number of bytes in use so far.
    #[must_use]
    pub fn peak(&self) -> u64 {
        self.peak.load(Ordering::Relaxed)
    }

    /// The number of refused reservations.
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
