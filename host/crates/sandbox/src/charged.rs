use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use super::failure::HostTrap;
use sage_machine::MemoryBudget;

/// What is charged for the arguments of a call.
pub(super) const ARGUMENTS: &str = "the host's copy of the call's arguments";

/// Data that the host keeps for a guest. Its bytes are taken from the instance's memory while it exists.
#[derive(Debug)]
pub(super) struct Charged<T> {
    copy: T,
    budget: Arc<MemoryBudget>,
    bytes: u64,
}

impl<T> Charged<T> {
    /// Takes `bytes` from the memory for `what`, then makes the data with `copy`.
    ///
    /// # Errors
    /// The memory has no room for the bytes, in which case `copy` is not called; the errors of `copy`.
    pub(super) fn of(
        budget: &Arc<MemoryBudget>,
        what: &str,
        bytes: usize,
        copy: impl FnOnce() -> wasmtime::Result<T>,
    ) -> wasmtime::Result<Self> {
        let bytes = bytes as u64;
        budget.reserve(bytes).map_err(|over| HostTrap::memory(what, over))?;
        match copy() {
            Ok(copy) => Ok(Self { copy, budget: Arc::clone(budget), bytes }),
            Err(error) => {
                budget.release(bytes);
                Err(error)
            }
        }
    }
}

impl<T> Deref for Charged<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.copy
    }
}

impl<T> DerefMut for Charged<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.copy
    }
}

impl<T> Drop for Charged<T> {
    fn drop(&mut self) {
        self.budget.release(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::FailureCode;

    #[test]
    fn a_copy_is_taken_from_the_memory_for_as_long_as_it_is_there() {
        let budget = Arc::new(MemoryBudget::new(100));
        let held = Charged::of(&budget, "a copy", 60, || Ok(vec![7; 60])).unwrap();
        assert_eq!((held.len(), budget.used()), (60, 60));
        assert!(
            Charged::of(&budget, "a copy", 41, || -> wasmtime::Result<()> { unreachable!("there is no room") })
                .is_err()
        );
        let broken = Charged::of(&budget, "a copy", 40, || -> wasmtime::Result<()> {
            Err(HostTrap::error(FailureCode::Malformed, "broken".to_owned()))
        });
        assert!(broken.is_err());
        assert_eq!(budget.used(), 60);
        drop(held);
        assert_eq!(budget.used(), 0);
    }
}
