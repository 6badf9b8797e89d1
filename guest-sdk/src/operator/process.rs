use std::rc::Rc;

use super::broken;
use super::failures::Failures;
use super::running::Running;
use crate::state::Tables;
use crate::types::Batch;
use crate::{Context, Emitter, Error, FromPayload, Record, Records, metrics};

/// Records in, any records out, with keyed state and a final call at the end of input. `#[sage_guest::process]`
/// implements this trait.
pub trait Process: Sized {
    /// Names of the side outputs.
    const PORTS: &'static [&'static str];
    /// Starts a lane.
    fn open(context: &Context, tables: &mut Tables) -> Result<Self, Error>;
    /// Processes a batch. An error rejects every record that was not yet processed.
    fn process(&mut self, call: Call<'_>) -> Result<(), Error>;
    /// The input has ended.
    fn end(&mut self, out: &mut Emitter) -> Result<(), Error> {
        let _ = out;
        Ok(())
    }
    /// Ends the lane.
    fn close(self) {}
}

/// The batch of one call, to be processed record by record or as a whole.
#[derive(Debug)]
pub struct Call<'a> {
    batch: &'a Batch,
    out: &'a mut Emitter,
    tables: &'a Tables,
    failures: &'a mut Failures,
    /// Number of records already processed, from the start of the batch.
    done: &'a mut usize,
}

impl<'a> Call<'a> {
    /// Processes the records one by one. An error rejects the current record and undoes its outputs and writes.
    #[inline(always)]
    pub fn each(mut self, mut process: impl FnMut(Record<'a, &'a [u8]>, &mut Emitter) -> Result<(), Error>) {
        for (row, payload) in self.batch.payloads.iter().enumerate() {
            self.at(row, |out| process(Record::of(self.batch, row, payload), out));
        }
        *self.done = self.batch.payloads.len();
    }

    /// Decodes the payloads of all records. Records whose payload is not a `P` are rejected. Returns `None` if
    /// no record is left.
    pub fn read<P: FromPayload<'a>>(self) -> Option<Records<'a, P>> {
        let mut records = Vec::with_capacity(self.batch.payloads.len());
        for (row, payload) in self.batch.payloads.iter().enumerate() {
            match Record::of(self.batch, row, payload).read() {
                Ok(record) => records.push((row, record)),
                Err(error) => self.failures.reject(row, &error),
            }
        }
        (!records.is_empty()).then(|| Records::new(records, self))
    }

    /// Processes record `row`.
    #[inline(always)]
    pub(crate) fn at(&mut self, row: usize, process: impl FnOnce(&mut Emitter) -> Result<(), Error>) {
        self.out.at(row);
        self.tables.at(row);
        if let Err(error) = process(self.out) {
            self.out.take_back();
            self.tables.take_back();
            self.failures.reject(row, &error);
        }
        self.out.tell_if_much();
    }

    /// Notes that the records before `row` are processed.
    pub(crate) fn done(&mut self, row: usize) {
        *self.done = row;
    }
}

/// The lane of a [`Process`]: one copy of the operator behind the functions of the contract.
#[derive(Debug)]
pub struct ProcessLane<O> {
    operator: Running<O>,
    out: Emitter,
    tables: Tables,
    failures: Failures,
}

impl<O: Process> ProcessLane<O> {
    /// Creates a lane that is not open yet.
    pub fn new() -> Self {
        Self {
            operator: Running::default(),
            out: Emitter::new(O::PORTS),
            tables: Tables::default(),
            failures: Failures::default(),
        }
    }

    /// `ports` of the contract.
    pub fn ports(&self) -> Vec<String> {
        O::PORTS.iter().map(|name| (*name).to_owned()).collect()
    }

    /// `open` of the contract.
    pub fn open(&mut self, context: &Context) -> Result<(), String> {
        self.tables = Tables::default();
        self.operator.open(|| O::open(context, &mut self.tables))
    }

    /// `process` of the contract.
    pub fn call(&mut self, batch: Batch) {
        let operator = self.operator.get();
        let batch = Rc::new(batch);
        self.out.begin(&batch);
        self.tables.begin(batch.keys.as_ref(), batch.payloads.len());
        let mut done = 0;
        let call = Call {
            batch: &batch,
            out: &mut self.out,
            tables: &self.tables,
            failures: &mut self.failures,
            done: &mut done,
        };
        if let Err(error) = operator.process(call) {
            let left = (done..batch.payloads.len()).filter(|row| !self.failures.has(*row));
            let left: Vec<usize> = left.collect();
            if left.is_empty() {
                broken("process_batch", &error);
            }
            for row in left {
                self.failures.reject(row, &error);
            }
        }
        self.out.finish();
        self.tables.finish();
        self.failures.tell();
        metrics::flush();
    }

    /// `end` of the contract. An error fails the call, because there is no record to reject.
    pub fn end(&mut self) {
        let operator = self.operator.get();
        self.out.begin_without_input(true, (usize::MAX, usize::MAX));
        if let Err(error) = operator.end(&mut self.out) {
            broken("end", &error);
        }
        self.out.finish();
        self.tables.finish();
        metrics::flush();
    }

    /// `close` of the contract.
    pub fn close(&mut self) {
        self.operator.close(O::close);
    }
}

impl<O: Process> Default for ProcessLane<O> {
    fn default() -> Self {
        Self::new()
    }
}
