use std::sync::{Mutex, PoisonError};

use super::Batch;

/// Empty batches that keep their buffers. A large buffer made anew per batch costs three times as much as the copy
/// into it (glibc maps and unmaps it).
///
/// Bounded: what does not fit is freed. A buffer that grew past [`BatchPool::KEEP_BYTES`] is freed as well, so that one
/// huge record does not stay resident for ever.
#[derive(Debug)]
pub struct BatchPool {
    free: Mutex<Vec<Batch>>,
    capacity: usize,
}

impl BatchPool {
    /// The largest payload buffer that is kept: 16 times the 64 KiB a batch aims at.
    pub const KEEP_BYTES: usize = 1 << 20;

    /// A pool that keeps at most `capacity` batches.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { free: Mutex::new(Vec::with_capacity(capacity)), capacity }
    }

    /// An empty batch, with buffers where one is at hand.
    #[must_use]
    pub fn take(&self) -> Batch {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    /// Gives a batch's buffers back.
    pub fn put(&self, mut batch: Batch) {
        if batch.payloads.byte_capacity() > Self::KEEP_BYTES {
            return;
        }
        batch.clear();
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < self.capacity {
            free.push(batch);
        }
    }
}
