use std::rc::Rc;

use super::failures::Failures;
use super::{broken, not_open};
use crate::state::Tables;
use crate::types::Batch;
use crate::{Context, Emitter, Error, Record, metrics};

/// Records in, anything out, with keyed state and a last word. `#[sage_guest::process]` implements it.
pub trait Process: Sized {
    /// Names of the side outputs.
    const PORTS: &'static [&'static str];
    /// Start a lane.
    fn open(context: &Context, tables: &mut Tables) -> Result<Self, Error>;
    /// Take one record; an error rejects it, and undoes what it emitted and wrote.
    fn process(&mut self, record: Record<'_, &[u8]>, out: &mut Emitter) -> Result<(), Error>;
    /// No more input will come.
    fn end(&mut self, out: &mut Emitter) -> Result<(), Error> {
        let _ = out;
        Ok(())
    }
    /// The lane is done.
    fn close(self) {}
}

/// A [`Process`] at the boundary.
#[derive(Debug)]
pub struct ProcessLane<O> {
    operator: Option<O>,
    out: Emitter,
    tables: Tables,
    failures: Failures,
}

impl<O: Process> ProcessLane<O> {
    /// A lane that is not open yet.
    pub fn new() -> Self {
        Self { operator: None, out: Emitter::new(O::PORTS), tables: Tables::default(), failures: Failures::default() }
    }

    /// `ports` of the contract.
    pub fn ports(&self) -> Vec<String> {
        O::PORTS.iter().map(|name| (*name).to_owned()).collect()
    }

    /// `open` of the contract.
    pub fn open(&mut self, context: &Context) -> Result<(), String> {
        self.tables = Tables::default();
        let opened = O::open(context, &mut self.tables).map_err(|error| error.message().to_owned());
        metrics::flush();
        self.operator = Some(opened?);
        Ok(())
    }

    /// `process` of the contract.
    pub fn call(&mut self, batch: Batch) {
        let Some(operator) = &mut self.operator else { not_open() };
        let batch = Rc::new(batch);
        self.out.begin(&batch);
        self.tables.begin(&batch);
        for (row, payload) in batch.payloads.iter().enumerate() {
            self.out.at(row);
            self.tables.at(row);
            if let Err(error) = operator.process(Record::of(&batch, row, payload), &mut self.out) {
                self.out.take_back();
                self.tables.take_back();
                self.failures.reject(row, &error);
            }
            self.out.tell_if_much();
        }
        self.out.finish();
        self.tables.finish();
        self.failures.tell();
        metrics::flush();
    }

    /// `end` of the contract. There is no record to reject, so an error fails the call.
    pub fn end(&mut self) {
        let Some(operator) = &mut self.operator else { not_open() };
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
        if let Some(operator) = self.operator.take() {
            operator.close();
        }
        metrics::flush();
    }
}

impl<O: Process> Default for ProcessLane<O> {
    fn default() -> Self {
        Self::new()
    }
}
