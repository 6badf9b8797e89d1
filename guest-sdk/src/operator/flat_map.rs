use super::failures::Failures;
use super::not_open;
use crate::types::Column;
use crate::{Context, Error, IntoPayload, host, metrics};

/// Rows are told to the host when this much has gathered: between 32 and 64 KiB a copy still stays in the
/// cache (48 GB/s against 6.5 GB/s at 64 MiB).
pub(crate) const FLUSH_BYTES: usize = 64 << 10;

/// One record in, any number out. `#[sage_guest::flat_map]` implements it.
pub trait FlatMap: Sized {
    /// Start a lane.
    fn open(context: &Context) -> Result<Self, Error>;
    /// Push what comes out of `payload`.
    fn flat_map(&mut self, payload: &[u8], out: &mut Rows) -> Result<(), Error>;
    /// The lane is done.
    fn close(self) {}
}

/// Where the output records of a flat-map gather.
#[derive(Debug, Default)]
pub struct Rows {
    payloads: Column,
    parents: Vec<u32>,
    parent: u32,
}

impl Rows {
    /// One more output record of the record being processed.
    #[inline]
    pub fn push(&mut self, record: impl IntoPayload) -> Result<(), Error> {
        record.write(&mut self.payloads.bytes)?;
        self.payloads.seal();
        self.parents.push(self.parent);
        Ok(())
    }

    /// Take back what the record being processed gave, when it is rejected.
    #[cold]
    fn take_back(&mut self, rows: usize) {
        self.payloads.truncate(rows);
        self.parents.truncate(rows);
    }

    fn tell(&mut self) {
        if !self.parents.is_empty() {
            host::rows(&self.payloads, &self.parents);
            self.payloads.clear();
            self.parents.clear();
        }
    }
}

/// A [`FlatMap`] at the boundary.
#[derive(Debug)]
pub struct FlatMapLane<O> {
    operator: Option<O>,
    rows: Rows,
    failures: Failures,
}

impl<O: FlatMap> FlatMapLane<O> {
    /// A lane that is not open yet.
    pub fn new() -> Self {
        Self { operator: None, rows: Rows::default(), failures: Failures::default() }
    }

    /// `open` of the contract.
    pub fn open(&mut self, context: &Context) -> Result<(), String> {
        let opened = O::open(context).map_err(|error| error.message().to_owned());
        metrics::flush();
        self.operator = Some(opened?);
        Ok(())
    }

    /// `flat-map` of the contract.
    pub fn call(&mut self, payloads: &Column) {
        let Some(operator) = &mut self.operator else { not_open() };
        let rows = &mut self.rows;
        for (row, payload) in payloads.iter().enumerate() {
            let before = rows.parents.len();
            rows.parent = row as u32;
            if let Err(error) = operator.flat_map(payload, rows) {
                rows.take_back(before);
                self.failures.reject(row, &error);
            }
            // Only between records: a record that is rejected half-way must leave nothing.
            if rows.payloads.bytes.len() >= FLUSH_BYTES {
                rows.tell();
            }
        }
        rows.tell();
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

impl<O: FlatMap> Default for FlatMapLane<O> {
    fn default() -> Self {
        Self::new()
    }
}
