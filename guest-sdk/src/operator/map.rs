use super::failures::Failures;
use super::rewrite::Rewrite;
use super::running::Running;
use crate::types::Column;
use crate::{Context, Error, host, metrics};

/// One record in, one record out. `#[sage_guest::map]` implements this trait.
pub trait Map: Sized {
    /// Starts a lane.
    fn open(context: &Context) -> Result<Self, Error>;
    /// Computes the new payload. `Some` is the new payload itself: bytes in `payload`, in the operator, or in
    /// static memory. With `None`, the new payload is appended to `out`.
    ///
    /// An error rejects the record and undoes appended bytes.
    fn map<'p>(&'p mut self, payload: &'p mut [u8], out: &mut Vec<u8>) -> Result<Option<&'p [u8]>, Error>;
    /// Ends the lane.
    fn close(self) {}
}

/// The lane of a [`Map`]: one copy of the operator behind the functions of the contract.
#[derive(Debug)]
pub struct MapLane<O> {
    operator: Running<O>,
    rewrite: Rewrite,
    failures: Failures,
}

impl<O: Map> MapLane<O> {
    /// Creates a lane that is not open yet.
    pub fn new() -> Self {
        Self { operator: Running::default(), rewrite: Rewrite::new(), failures: Failures::default() }
    }

    /// `open` of the contract.
    pub fn open(&mut self, context: &Context) -> Result<(), String> {
        self.operator.open(|| O::open(context))
    }

    /// `map` of the contract. The call overwrites the batch.
    pub fn call(&mut self, payloads: &mut Column) {
        let operator = self.operator.get();
        self.rewrite.each(operator, payloads, &mut self.failures);
        host::payloads(payloads);
        self.rewrite.keep(payloads);
        self.failures.tell();
        metrics::flush();
    }

    /// `close` of the contract.
    pub fn close(&mut self) {
        self.operator.close(O::close);
    }
}

impl<O: Map> Default for MapLane<O> {
    fn default() -> Self {
        Self::new()
    }
}
