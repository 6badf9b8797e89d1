use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What went wrong in an instance: how often records met each error code, and how often calls broke each limit. The second
/// can be more than the first, since a retry may mend what broke. Codes and limits are a handful of fixed names.
#[derive(Debug, Default)]
pub struct ErrorCounts {
    codes: Mutex<Counts>,
    limits: Mutex<Counts>,
}

type Counts = BTreeMap<&'static str, u64>;

impl ErrorCounts {
    /// One more record (or failure of the stage) of this code.
    pub fn count(&self, code: &'static str) {
        *lock(&self.codes).entry(code).or_default() += 1;
    }

    /// One more call that broke this limit, whatever becomes of its records.
    pub fn breach(&self, limit: &'static str) {
        *lock(&self.limits).entry(limit).or_default() += 1;
    }

    /// All codes that occurred.
    #[must_use]
    pub fn get(&self) -> Counts {
        lock(&self.codes).clone()
    }

    /// All limits that were broken.
    #[must_use]
    pub fn breaches(&self) -> Counts {
        lock(&self.limits).clone()
    }
}

fn lock(counts: &Mutex<Counts>) -> MutexGuard<'_, Counts> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}
