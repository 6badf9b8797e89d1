use super::failures::Failures;
use super::running::Running;
use crate::types::Column;
use crate::{Context, Error, host, metrics};

/// Gives each record a key. `#[sage_guest::key_by]` implements this trait.
pub trait KeyBy: Sized {
    /// Starts a lane.
    fn open(context: &Context) -> Result<Self, Error>;
    /// Appends the key of `payload` to `out`.
    fn key(&mut self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), Error>;
    /// Ends the lane.
    fn close(self) {}
}

/// The lane of a [`KeyBy`]: one copy of the operator behind the functions of the contract.
#[derive(Debug)]
pub struct KeyByLane<O> {
    operator: Running<O>,
    keys: Column,
    failures: Failures,
}

impl<O: KeyBy> KeyByLane<O> {
    /// Creates a lane that is not open yet.
    pub fn new() -> Self {
        Self { operator: Running::default(), keys: Column::new(), failures: Failures::default() }
    }

    /// `open` of the contract.
    pub fn open(&mut self, context: &Context) -> Result<(), String> {
        self.operator.open(|| O::open(context))
    }

    /// `key-by` of the contract.
    pub fn call(&mut self, payloads: &Column) {
        let operator = self.operator.get();
        let failures = &mut self.failures;
        self.keys.write_each(
            payloads,
            |payload, out| operator.key(payload, out),
            |row, error| failures.reject(row, &error),
        );
        host::keys(&self.keys);
        self.failures.tell();
        metrics::flush();
    }

    /// `close` of the contract.
    pub fn close(&mut self) {
        self.operator.close(O::close);
    }
}

impl<O: KeyBy> Default for KeyByLane<O> {
    fn default() -> Self {
        Self::new()
    }
}
