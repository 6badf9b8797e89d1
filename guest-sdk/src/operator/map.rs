use super::failures::Failures;
use super::not_open;
use crate::types::Column;
use crate::{Context, Error, host, metrics};

/// One record in, one record out. `#[sage_guest::map]` implements it.
pub trait Map: Sized {
    /// Start a lane.
    fn open(context: &Context) -> Result<Self, Error>;
    /// Append to `out` what becomes of `payload`.
    fn map(&mut self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), Error>;
    /// The lane is done.
    fn close(self) {}
}

/// A [`Map`] at the boundary.
#[derive(Debug)]
pub struct MapLane<O> {
    operator: Option<O>,
    answers: Column,
    failures: Failures,
}

impl<O: Map> MapLane<O> {
    /// A lane that is not open yet.
    pub fn new() -> Self {
        Self { operator: None, answers: Column::new(), failures: Failures::default() }
    }

    /// `open` of the contract.
    pub fn open(&mut self, context: &Context) -> Result<(), String> {
        let opened = O::open(context).map_err(|error| error.message().to_owned());
        metrics::flush();
        self.operator = Some(opened?);
        Ok(())
    }

    /// `map` of the contract.
    pub fn call(&mut self, payloads: &Column) {
        let Some(operator) = &mut self.operator else { not_open() };
        let failures = &mut self.failures;
        self.answers.write_each(
            payloads,
            |payload, out| operator.map(payload, out),
            |row, error| failures.reject(row, &error),
        );
        host::payloads(&self.answers);
        self.failures.tell();
        metrics::flush();
    }

    /// `close` of the contract.
    pub fn close(&mut self) {
        if let Some(operator) = self.operator.take() {
            operator.close();
        }
        metrics::flush();
    }
}

impl<O: Map> Default for MapLane<O> {
    fn default() -> Self {
        Self::new()
    }
}
