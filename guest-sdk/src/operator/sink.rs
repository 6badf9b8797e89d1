use super::failures::Failures;
use super::running::Running;
use crate::types::Batch;
use crate::{Context, Error, Record, metrics};

/// Takes records out of the pipeline. `#[sage_guest::sink]` implements this trait.
pub trait Sink: Sized {
    /// Starts a lane.
    fn open(context: &Context) -> Result<Self, Error>;
    /// Writes one record. An error rejects the record.
    fn write(&mut self, record: Record<'_, &[u8]>) -> Result<(), Error>;
    /// Makes all records written so far durable. If the lane fails, the records since the last flush are
    /// written again.
    fn flush(&mut self) -> Result<(), Error> {
        Ok(())
    }
    /// Ends the lane.
    fn close(self) {}
}

/// The lane of a [`Sink`]: one copy of the operator behind the functions of the contract.
#[derive(Debug)]
pub struct SinkLane<O> {
    operator: Running<O>,
    failures: Failures,
}

impl<O: Sink> SinkLane<O> {
    /// Creates a lane that is not open yet.
    pub fn new() -> Self {
        Self { operator: Running::default(), failures: Failures::default() }
    }

    /// `open` of the contract.
    pub fn open(&mut self, context: &Context) -> Result<(), String> {
        self.operator.open(|| O::open(context))
    }

    /// `write` of the contract.
    pub fn call(&mut self, batch: &Batch) {
        let operator = self.operator.get();
        for (row, payload) in batch.payloads.iter().enumerate() {
            if let Err(error) = operator.write(Record::of(batch, row, payload)) {
                self.failures.reject(row, &error);
            }
        }
        self.failures.tell();
        metrics::flush();
    }

    /// `flush` of the contract.
    pub fn flush(&mut self) -> Result<(), String> {
        let operator = self.operator.get();
        let flushed = operator.flush().map_err(|error| error.message().to_owned());
        metrics::flush();
        flushed
    }

    /// `close` of the contract.
    pub fn close(&mut self) {
        self.operator.close(O::close);
    }
}

impl<O: Sink> Default for SinkLane<O> {
    fn default() -> Self {
        Self::new()
    }
}
