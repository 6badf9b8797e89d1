use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The epochs that a run has saved.
#[derive(Debug)]
pub struct EpochProgress {
    /// The epoch of an earlier run from which this one went on.
    pub continued_from: Option<u64>,
    began: Instant,
    last: AtomicU64,
    /// Time of the last epoch, in nanoseconds since the run began.
    at: AtomicU64,
    count: AtomicU64,
}

impl EpochProgress {
    /// The epochs of a run that begins now.
    #[must_use]
    pub fn new(continued_from: Option<u64>) -> Self {
        let zero = AtomicU64::default;
        Self { continued_from, began: Instant::now(), last: zero(), at: zero(), count: zero() }
    }

    /// An epoch is saved.
    pub fn saved(&self, epoch: u64) {
        let now = u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.at.store(now, Ordering::Relaxed);
        self.last.store(epoch, Ordering::Relaxed);
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    /// The last epoch that this run has saved.
    #[must_use]
    pub fn last(&self) -> Option<u64> {
        Some(self.last.load(Ordering::Relaxed)).filter(|last| *last > 0)
    }

    /// Number of epochs that this run has saved.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Time since the last epoch, or since the run began.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.began.elapsed().saturating_sub(Duration::from_nanos(self.at.load(Ordering::Relaxed)))
    }
}
