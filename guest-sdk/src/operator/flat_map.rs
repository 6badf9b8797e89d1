use super::failures::Failures;
use super::running::Running;
use crate::types::Column;
use crate::{Context, Error, IntoPayload, host, metrics};

/// Number of payload bytes at which rows go to the host. Up to 32 to 64 KiB a copy stays in the cache (48 GB/s
/// against 6.5 GB/s at 64 MiB).
pub(crate) const FLUSH_BYTES: usize = 64 << 10;

/// One record in, any number of records out. `#[sage_guest::flat_map]` implements this trait.
pub trait FlatMap: Sized {
    /// Starts a lane.
    fn open(context: &Context) -> Result<Self, Error>;
    /// Pushes the output records of `payload`.
    fn flat_map(&mut self, payload: &[u8], out: &mut Rows) -> Result<(), Error>;
    /// Ends the lane.
    fn close(self) {}
}

/// The output records of a flat-map that have not yet gone to the host.
#[derive(Debug, Default)]
pub struct Rows {
    payloads: Column,
    parents: Vec<u32>,
    parent: u32,
}

impl Rows {
    /// Appends an output record of the record being processed.
    #[inline]
    pub fn push(&mut self, record: impl IntoPayload) -> Result<(), Error> {
        record.write(&mut self.payloads.bytes)?;
        self.payloads.seal();
        self.parents.push(self.parent);
        Ok(())
    }

    /// Takes back the outputs of the record being processed, because it is rejected.
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

/// The lane of a [`FlatMap`]: one copy of the operator behind the functions of the contract.
#[derive(Debug)]
pub struct FlatMapLane<O> {
    operator: Running<O>,
    rows: Rows,
    failures: Failures,
}

impl<O: FlatMap> FlatMapLane<O> {
    /// Creates a lane that is not open yet.
    pub fn new() -> Self {
        Self { operator: Running::default(), rows: Rows::default(), failures: Failures::default() }
    }

    /// `open` of the contract.
    pub fn open(&mut self, context: &Context) -> Result<(), String> {
        self.operator.open(|| O::open(context))
    }

    /// `flat-map` of the contract.
    pub fn call(&mut self, payloads: &Column) {
        let operator = self.operator.get();
        let rows = &mut self.rows;
        for (row, payload) in payloads.iter().enumerate() {
            let before = rows.parents.len();
            rows.parent = row as u32;
            if let Err(error) = operator.flat_map(payload, rows) {
                rows.take_back(before);
                self.failures.reject(row, &error);
            }
            // Rows go to the host only between records: a record that is rejected half-way must leave nothing
            // behind.
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
        self.operator.close(O::close);
    }
}

impl<O: FlatMap> Default for FlatMapLane<O> {
    fn default() -> Self {
        Self::new()
    }
}
