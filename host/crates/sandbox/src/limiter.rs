use std::sync::Arc;

use wasmtime::ResourceLimiter;

use super::failure::HostTrap;
use sage_machine::MemoryBudget;

/// Takes every byte of one guest's linear memories and tables out of its instance's budget before wasmtime
/// allocates it. The allocations for which the runtime asks no limiter
/// ([`instance_bytes`](super::instance_bytes::instance_bytes)) are taken before the guest is instantiated.
///
/// wasmtime's own limiter checks each memory alone, so two memories would double the cap.
#[derive(Debug)]
pub(super) struct Limiter {
    budget: Arc<MemoryBudget>,
    taken: u64,
    last: u64,
}

/// Bytes of a table entry in wasmtime: a pointer, and as much again for spare capacity, because a growing table
/// doubles.
const TABLE_ENTRY_BYTES: u64 = 16;
/// Most core instances of one guest. A Rust component has about 10, with 1 memory and 2 tables; wasmtime's
/// defaults are 10,000 of each.
pub(super) const MOST_INSTANCES: usize = 256;

impl Limiter {
    pub(super) fn new(budget: Arc<MemoryBudget>) -> Self {
        Self { budget, taken: 0, last: 0 }
    }

    pub(super) fn shared_budget(&self) -> &Arc<MemoryBudget> {
        &self.budget
    }

    pub(super) fn budget(&self) -> &MemoryBudget {
        &self.budget
    }

    /// Takes the bytes that the runtime allocates for the guest without asking this limiter.
    pub(super) fn instantiate(&mut self, bytes: u64) -> wasmtime::Result<()> {
        self.grow("instances with their globals and tables", bytes).map(|_| ())
    }

    fn grow(&mut self, what: &str, bytes: u64) -> wasmtime::Result<bool> {
        self.budget.reserve(bytes).map_err(|over| HostTrap::memory(what, over))?;
        self.taken += bytes;
        self.last = bytes;
        Ok(true)
    }

    /// Gives the last bytes back: wasmtime failed to allocate memory that was granted.
    fn undo(&mut self) {
        self.budget.release(self.last);
        self.taken = self.taken.saturating_sub(self.last);
        self.last = 0;
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            self.last = 0;
            return Ok(false); // above the guest's own maximum: `memory.grow` returns -1
        }
        self.grow("linear memory", desired.saturating_sub(current) as u64)
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.undo();
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            self.last = 0;
            return Ok(false);
        }
        self.grow("a table", (desired.saturating_sub(current) as u64).saturating_mul(TABLE_ENTRY_BYTES))
    }

    fn table_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.undo();
        Ok(())
    }

    fn instances(&self) -> usize {
        MOST_INSTANCES
    }

    fn tables(&self) -> usize {
        64
    }

    fn memories(&self) -> usize {
        16
    }
}

impl Drop for Limiter {
    fn drop(&mut self) {
        self.budget.release(self.taken);
    }
}
