use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The errors of an instance: the number of records with each error code, and the number of calls that broke
/// each limit. The second number can be higher than the first, since a retry may succeed. Codes and limits are
/// a small set of fixed names.
#[derive(Debug, Default)]
pub struct ErrorCounts {
    codes: Mutex<Counts>,
    limits: Mutex<Counts>,
}

type Counts = BTreeMap<&'static str, u64>;

impl ErrorCounts {
    /// Counts one more record (or failure of the stage) with this code.
    pub fn count(&self, code: &'static str) {
        *lock(&self.codes).entry(code).or_default() += 1;
    }

    /// Counts one more call that broke this limit, regardless of the fate of its records.
    pub fn breach(&self, limit: &'static str) {
        *lock(&self.limits).entry(limit).or_default() += 1;
    }

    /// All codes that occurred, with their counts.
    #[must_use]
    pub fn get(&self) -> Counts {
        lock(&self.codes).clone()
    }

    /// All limits that were broken, with their counts.
    #[must_use]
    pub fn breaches(&self) -> Counts {
        lock(&self.limits).clone()
    }
}

fn lock(counts: &Mutex<Counts>) -> MutexGuard<'_, Counts> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}
