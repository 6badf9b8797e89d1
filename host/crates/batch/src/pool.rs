use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Batch, Column};

/// A pool of empty batches and of buffers for their payloads. Allocating a large buffer for each batch costs
/// three times as much as the copy into it (glibc maps and unmaps the memory).
///
/// The batch that was returned last is handed out first, because it is still in the CPU's caches. The pool is
/// bounded in number and in bytes ([`BatchPool::MOST_BYTES`]): buffers above the bound are freed. A buffer or a
/// batch that has grown past [`BatchPool::KEEP_BYTES`] is freed as well, so that one huge record does not stay
/// in memory for ever.
#[derive(Debug)]
pub struct BatchPool {
    free: Mutex<Free>,
    capacity: usize,
}

/// Batches without payload buffers, and the buffers. They are kept apart because some batches have no buffer
/// while they are in flight.
#[derive(Debug, Default)]
struct Free {
    batches: Vec<Batch>,
    buffers: Vec<Vec<u8>>,
    /// Total bytes of memory of both.
    bytes: usize,
}

impl BatchPool {
    /// Largest payload buffer that is kept: 16 times the 64 KiB that a batch aims at.
    pub const KEEP_BYTES: usize = 1 << 20;
    /// Most unused memory in the pool: as much as a thousand batches of the usual size need.
    pub const MOST_BYTES: usize = 64 << 20;

    /// A pool that keeps at most `capacity` batches.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        let free = Free { batches: Vec::with_capacity(capacity), buffers: Vec::with_capacity(capacity), bytes: 0 };
        Self { free: Mutex::new(free), capacity }
    }

    /// Takes an empty batch, with buffers if the pool has some.
    #[must_use]
    pub fn take(&self) -> Batch {
        self.take_with(Vec::new())
    }

    /// Takes an empty batch with `buffer` for its payloads, or with a buffer from the pool if `buffer` has no
    /// capacity.
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

    /// Gives a buffer from the pool, if there is one, to a column that has none.
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

    /// Takes the buffer of a column that is not needed for a while. The column is empty afterwards.
    pub fn reclaim_buffer(&self, column: &mut Column) {
        let mut buffer = Vec::new();
        column.clear();
        column.detach(&mut buffer);
        self.lock().keep_buffer(buffer, self.capacity);
    }

    /// Returns a batch's buffers to the pool.
    pub fn put(&self, mut batch: Batch) {
        batch.clear();
        let mut buffer = Vec::new();
        batch.payloads.detach(&mut buffer);
        let batch_bytes = batch.capacity();
        let mut free = self.lock();
        if free.batches.len() < self.capacity && free.has_room(batch_bytes) {
            free.bytes += batch_bytes;
            free.batches.push(batch);
        }
        free.keep_buffer(buffer, self.capacity);
    }

    fn lock(&self) -> MutexGuard<'_, Free> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Free {
    fn keep_buffer(&mut self, mut buffer: Vec<u8>, capacity: usize) {
        let bytes = buffer.capacity();
        if self.buffers.len() < capacity && bytes > 0 && self.has_room(bytes) {
            buffer.clear();
            self.bytes += bytes;
            self.buffers.push(buffer);
        }
    }

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
        assert!(pool.take().is_empty(), "an empty pool makes a new batch");
        pool.put(batch(1000, 10));
        let again = pool.take();
        assert!(again.is_empty() && again.capacity() >= 1010, "{}", again.capacity());
        assert_eq!(pool.lock().bytes, 0);
    }

    #[test]
    fn a_buffer_that_is_reclaimed_is_lent_again() {
        let pool = BatchPool::new(4);
        let mut column = Column::default();
        column.push(&[7; 1000]);
        pool.reclaim_buffer(&mut column);
        assert_eq!((column.len(), column.byte_capacity()), (0, 0));
        pool.lend_buffer(&mut column);
        assert!(column.is_empty() && column.byte_capacity() >= 1000, "{}", column.byte_capacity());
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
