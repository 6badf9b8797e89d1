use super::failures::Failures;
use super::not_open;
use crate::types::Column;
use crate::{Context, Error, host, metrics};

/// One record in, the same record or none out. `#[sage_guest::filter]` implements it.
pub trait Filter: Sized {
    /// Start a lane.
    fn open(context: &Context) -> Result<Self, Error>;
    /// Whether the record stays.
    fn keep(&mut self, payload: &[u8]) -> Result<bool, Error>;
    /// The lane is done.
    fn close(self) {}
}

/// A [`Filter`] at the boundary.
#[derive(Debug)]
pub struct FilterLane<O> {
    operator: Option<O>,
    bitmap: Vec<u8>,
    failures: Failures,
}

impl<O: Filter> FilterLane<O> {
    /// A lane that is not open yet.
    pub fn new() -> Self {
        Self { operator: None, bitmap: Vec::new(), failures: Failures::default() }
    }

    /// `open` of the contract.
    pub fn open(&mut self, context: &Context) -> Result<(), String> {
        let opened = O::open(context).map_err(|error| error.message().to_owned());
        metrics::flush();
        self.operator = Some(opened?);
        Ok(())
    }

    /// `filter` of the contract.
    pub fn call(&mut self, payloads: &Column) {
        let Some(operator) = &mut self.operator else { not_open() };
        let rows = payloads.len();
        self.bitmap.clear();
        self.bitmap.reserve(rows.div_ceil(8) + size_of::<u64>());
        let mut word = 0_u64;
        for (row, payload) in payloads.iter().enumerate() {
            let keep = match operator.keep(payload) {
                Ok(keep) => keep,
                Err(error) => {
                    self.failures.reject(row, &error);
                    false
                }
            };
            word |= u64::from(keep) << (row % 64);
            if row % 64 == 63 {
                self.bitmap.extend_from_slice(&word.to_le_bytes());
                word = 0;
            }
        }
        self.bitmap.extend_from_slice(&word.to_le_bytes());
        self.bitmap.truncate(rows.div_ceil(8));
        host::keep(&self.bitmap);
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

impl<O: Filter> Default for FilterLane<O> {
    fn default() -> Self {
        Self::new()
    }
}
