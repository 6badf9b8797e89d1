use std::time::{Duration, Instant};

use sage_batch::Batch;

/// What a sink component has taken since it last made everything durable, oldest first. It is kept here until then, because a guest that fails
/// takes with it what it had gathered.
#[derive(Debug, Default)]
pub(super) struct Unflushed {
    batches: Vec<Batch>,
    bytes: usize,
    since: Option<Instant>,
}

/// More is not kept: it is the host's memory, and would be written again after a failure.
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

    /// How long it may still wait, where the oldest may wait for `interval`. `None`: there is nothing.
    pub(super) fn timeout(&self, interval: Duration) -> Option<Duration> {
        let since = self.since?;
        if self.bytes >= MOST {
            return Some(Duration::ZERO);
        }
        Some(interval.saturating_sub(since.elapsed()))
    }

    /// Whether it must be made durable before more is written.
    pub(super) fn is_due(&self, interval: Duration) -> bool {
        self.timeout(interval).is_some_and(|timeout| timeout.is_zero())
    }

    /// All of it: because it is durable, or to be written again.
    pub(super) fn take(&mut self) -> Vec<Batch> {
        std::mem::take(self).batches
    }
}
