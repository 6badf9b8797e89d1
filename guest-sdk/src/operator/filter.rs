use super::failures::Failures;
use super::running::Running;
use crate::types::Column;
use crate::{Context, Error, host, metrics};

/// One record in, the same record or no record out. `#[sage_guest::filter]` implements this trait.
pub trait Filter: Sized {
    /// Starts a lane.
    fn open(context: &Context) -> Result<Self, Error>;
    /// Returns whether the record stays.
    fn keep(&mut self, payload: &[u8]) -> Result<bool, Error>;
    /// Ends the lane.
    fn close(self) {}
}

/// The lane of a [`Filter`]: one copy of the operator behind the functions of the contract.
#[derive(Debug)]
pub struct FilterLane<O> {
    operator: Running<O>,
    bitmap: Vec<u8>,
    failures: Failures,
}

impl<O: Filter> FilterLane<O> {
    /// Creates a lane that is not open yet.
    pub fn new() -> Self {
        Self { operator: Running::default(), bitmap: Vec::new(), failures: Failures::default() }
    }

    /// `open` of the contract.
    pub fn open(&mut self, context: &Context) -> Result<(), String> {
        self.operator.open(|| O::open(context))
    }

    /// `filter` of the contract.
    pub fn call(&mut self, payloads: &Column) {
        let operator = self.operator.get();
        let rows = payloads.len();
        self.bitmap.resize(rows.div_ceil(8), 0);
        // SAFETY: the column comes from the host, which has checked it, or from this crate's own `testing`,
        // which built it.
        let mut payloads = unsafe { payloads.iter_unchecked() };
        for byte in &mut self.bitmap {
            // The loop collects the bits of only eight records: the compiler does not unroll longer loops, and
            // without unrolling each record waits for the one before.
            let mut bits = 0_u8;
            for bit in 0..8 {
                let Some(payload) = payloads.next() else { break };
                match operator.keep(payload) {
                    Ok(keep) => bits |= u8::from(keep) << bit,
                    Err(error) => self.failures.reject(rows - 1 - payloads.len(), &error),
                }
            }
            *byte = bits;
        }
        host::keep(&self.bitmap);
        self.failures.tell();
        metrics::flush();
    }

    /// `close` of the contract.
    pub fn close(&mut self) {
        self.operator.close(O::close);
    }
}

impl<O: Filter> Default for FilterLane<O> {
    fn default() -> Self {
        Self::new()
    }
}
