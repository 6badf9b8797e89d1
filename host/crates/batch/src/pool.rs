use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Batch, Column};

/// Empty batches, and buffers for their payloads. A large buffer made anew per batch costs three times as much as the copy
/// into it (glibc maps and unmaps it).
///
/// What was given back last is handed out first, since that is what caches hold. Bounded in number and in bytes
/// ([`BatchPool::MOST_BYTES`]): what does not fit is freed. A buffer, or a batch, that grew past [`BatchPool::KEEP_BYTES`] is freed as well, so that one
/// huge record does not stay resident for ever.
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
    /// What these have of memory together.
    bytes: usize,
}

impl BatchPool {
    /// The largest payload buffer that is kept: 16 times the 64 KiB a batch aims at.
    pub const KEEP_BYTES: usize = 1 << 20;
    /// The most memory that lies here unused: what a thousand batches of the usual size need.
    pub const MOST_BYTES: usize = 64 << 20;

    /// A pool that keeps at most `capacity` batches.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        let free = Free { batches: Vec::with_capacity(capacity), buffers: Vec::with_capacity(capacity), bytes: 0 };
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
        let batch = free.batches.pop();
        let found = if buffer.capacity() > 0 { None } else { free.buffers.pop() };
        free.bytes -= batch.as_ref().map_or(0, Batch::capacity) + found.as_ref().map_or(0, Vec::capacity);
        drop(free);
        let mut batch = batch.unwrap_or_default();
        let mut buffer = found.unwrap_or(buffer);
        batch.payloads.detach(&mut buffer);
        batch
    }

    /// Gives a column without a buffer one, where one is at hand.
    pub fn lend_buffer(&self, column: &mut Column) {
        if column.byte_capacity() > 0 {
            return;
        }
        let mut free = self.lock();
        if let Some(mut buffer) = free.buffers.pop() {
            free.bytes -= buffer.capacity();
            drop(free);
            column.detach(&mut buffer);
        }
    }

    /// Gives a batch's buffers back.
    pub fn put(&self, mut batch: Batch) {
        batch.clear();
        let mut buffer = Vec::new();
        batch.payloads.detach(&mut buffer);
        buffer.clear();
        let (batch_bytes, buffer_bytes) = (batch.capacity(), buffer.capacity());
        let mut free = self.lock();
        if free.batches.len() < self.capacity && free.has_room(batch_bytes) {
            free.bytes += batch_bytes;
            free.batches.push(batch);
        }
        if free.buffers.len() < self.capacity && buffer_bytes > 0 && free.has_room(buffer_bytes) {
            free.bytes += buffer_bytes;
            free.buffers.push(buffer);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Free> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Free {
    fn has_room(&self, bytes: usize) -> bool {
        bytes <= BatchPool::KEEP_BYTES && self.bytes + bytes <= BatchPool::MOST_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Origin, Record};

    /// A batch of one record with a payload and a key of these lengths.
    fn batch(payload: usize, key: usize) -> Batch {
        let (payload, key) = (vec![0; payload], vec![0; key]);
        let mut batch = Batch::new();
        assert!(batch.push(Record { key: Some(&key), ..Record::of(&payload, Origin::NONE) }));
        batch
    }

    #[test]
    fn what_is_given_back_is_handed_out_again() {
        let pool = BatchPool::new(4);
        assert!(pool.take().is_empty(), "made where there is none");
        pool.put(batch(1000, 10));
        let again = pool.take();
        assert!(again.is_empty() && again.capacity() >= 1010, "{}", again.capacity());
        assert_eq!(pool.lock().bytes, 0);
    }

    #[test]
    fn a_batch_with_any_huge_column_is_not_kept() {
        let pool = BatchPool::new(4);
        pool.put(batch(BatchPool::KEEP_BYTES + 1, 1));
        pool.put(batch(1, BatchPool::KEEP_BYTES + 1));
        assert!(pool.lock().bytes < 1000, "{}", pool.lock().bytes);
    }

    #[test]
    fn what_lies_unused_is_bounded_in_bytes() {
        let pool = BatchPool::new(1000);
        let batches: Vec<Batch> =
            (0..200).map(|_| batch(BatchPool::KEEP_BYTES / 2, BatchPool::KEEP_BYTES / 2)).collect();
        batches.into_iter().for_each(|batch| pool.put(batch));
        let kept = pool.lock().bytes;
        assert!((BatchPool::MOST_BYTES / 2..=BatchPool::MOST_BYTES).contains(&kept), "{kept}");
    }
}
