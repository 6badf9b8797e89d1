use std::time::{Duration, Instant};

use sage_batch::Batch;

/// The batches that a sink component has taken since its last flush, oldest first. The host keeps them until
/// the next flush, because a failing guest loses everything that it had gathered.
#[derive(Debug, Default)]
pub(super) struct Unflushed {
    batches: Vec<Batch>,
    bytes: usize,
    since: Option<Instant>,
}

/// Maximum bytes that are kept. The batches use host memory, and they are written again after a failure.
const MOST: usize = 4 << 20;

impl Unflushed {
    pub(super) fn add(&mut self, batch: Batch) {
        self.since.get_or_insert_with(Instant::now);
        self.bytes += batch.weight();
        self.batches.push(batch);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// The time until the next flush is due, if the oldest batch may wait for `interval`. `None` means that
    /// nothing is kept.
    pub(super) fn timeout(&self, interval: Duration) -> Option<Duration> {
        let since = self.since?;
        if self.bytes >= MOST {
            return Some(Duration::ZERO);
        }
        Some(interval.saturating_sub(since.elapsed()))
    }

    /// Returns `true` if a flush is due before more is written.
    pub(super) fn is_due(&self, interval: Duration) -> bool {
        self.timeout(interval).is_some_and(|timeout| timeout.is_zero())
    }

    /// Takes all batches, because they are durable or because they will be written again.
    pub(super) fn take(&mut self) -> Vec<Batch> {
        std::mem::take(self).batches
    }
}
