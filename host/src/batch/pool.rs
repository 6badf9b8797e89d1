use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Batch, Column};

/// Empty batches, and buffers for their payloads. A large buffer made anew per batch costs three times as much as the copy
/// into it (glibc maps and unmaps it).
///
/// What was given back last is handed out first, since that is what caches hold. Bounded: what does not fit is freed. A buffer that grew
/// past [`BatchPool::KEEP_BYTES`] is freed as well, so that one huge record does not stay resident for ever.
#[derive(Debug)]
pub struct BatchPool {
    free: Mutex<Free>,
    capacity: usize,
}

/// Batches without buffers for payloads, and these: some batches on their way have none.
#[derive(Debug, Default)]
struct Free {
    batches: Vec<Batch>,
    buffers: Vec<Vec<u8>>,
}

impl BatchPool {
    /// The largest payload buffer that is kept: 16 times the 64 KiB a batch aims at.
    pub const KEEP_BYTES: usize = 1 << 20;

    /// A pool that keeps at most `capacity` batches.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        let free = Free { batches: Vec::with_capacity(capacity), buffers: Vec::with_capacity(capacity) };
        Self { free: Mutex::new(free), capacity }
    }

    /// An empty batch, with buffers where they are at hand.
    #[must_use]
    pub fn take(&self) -> Batch {
        self.take_with(Vec::new())
    }

    /// An empty batch for payloads in this buffer, or another one if it has no room at all.
    #[must_use]
    pub fn take_with(&self, buffer: Vec<u8>) -> Batch {
        let mut free = self.lock();
        let mut batch = free.batches.pop().unwrap_or_default();
        let mut buffer = if buffer.capacity() > 0 { buffer } else { free.buffers.pop().unwrap_or_default() };
        drop(free);
        batch.payloads.let_go(&mut buffer);
        batch
    }

    /// Gives a column without a buffer one, where one is at hand.
    pub fn lend_buffer(&self, column: &mut Column) {
        if column.byte_capacity() == 0
            && let Some(mut buffer) = self.lock().buffers.pop()
        {
            column.let_go(&mut buffer);
        }
    }

    /// Gives a batch's buffers back.
    pub fn put(&self, mut batch: Batch) {
        batch.clear();
        let mut buffer = Vec::new();
        batch.payloads.let_go(&mut buffer);
        let mut free = self.lock();
        if free.batches.len() < self.capacity {
            free.batches.push(batch);
        }
        if free.buffers.len() < self.capacity && (1..=Self::KEEP_BYTES).contains(&buffer.capacity()) {
            buffer.clear();
            free.buffers.push(buffer);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Free> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
