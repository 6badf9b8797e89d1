//! The kinds by field that see keys, event times and headers: process, source and sink.

use std::cell::Cell;
use std::rc::Rc;

use super::failures::Failures;
use super::running::Running;
use super::{Progress, broken};
use crate::fields::{Batch, Columns, FieldBatch, FromFields, Ports, Start};
use crate::state::Tables;
use crate::{Context, Error, Record, metrics};

/// Records in, any records out, by field, with keyed state and a final call at the end of input.
/// `#[sage_guest::process]` implements this trait for an operator whose outputs are [`Port`](crate::Port)s.
pub trait FieldsProcess: Sized {
    /// Names of the side outputs.
    const PORTS: &'static [&'static str];
    /// Starts a lane.
    fn open(context: &Context, tables: &mut Tables) -> Result<Self, Error>;
    /// Processes a batch.
    fn process(&mut self, call: FieldsCall<'_>);
    /// The input has ended.
    fn end(&mut self) -> Result<(), Error> {
        Ok(())
    }
    /// Ends the lane.
    fn close(self) {}
}

/// Makes records by field. `#[sage_guest::source]` implements this trait for an operator whose outputs are
/// [`Port`](crate::Port)s.
pub trait FieldsSource: Sized {
    /// Names of the side outputs.
    const PORTS: &'static [&'static str];
    /// Starts a lane.
    fn open(context: &Context) -> Result<Self, Error>;
    /// Emits records, as many as the call asks for.
    fn next(&mut self, call: FieldsNext) -> Result<Progress, Error>;
    /// As [`Source::position`](super::Source::position).
    fn position(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        let _ = out;
        Ok(())
    }
    /// As [`Source::seek`](super::Source::seek).
    fn seek(&mut self, position: &[u8]) -> Result<(), Error> {
        let _ = position;
        Err("this source cannot go on from a position: it has no `position` and `seek`".into())
    }
    /// Ends the lane.
    fn close(self) {}
}

/// Takes records out of the pipeline, by field. `#[sage_guest::sink]` implements this trait for an operator that takes
/// a record.
pub trait FieldsSink: Sized {
    /// Starts a lane.
    fn open(context: &Context) -> Result<Self, Error>;
    /// Writes a batch.
    fn write(&mut self, call: FieldsWrite<'_>);
    /// As [`Sink::flush`](super::Sink::flush).
    fn flush(&mut self) -> Result<(), Error> {
        Ok(())
    }
    /// Ends the lane.
    fn close(self) {}
}

/// A call of a process by field.
#[derive(Debug)]
pub struct FieldsCall<'a> {
    batch: &'a Rc<FieldBatch>,
    tables: &'a Tables,
    failures: &'a mut Failures,
}

impl<'a> FieldsCall<'a> {
    /// Processes the records one by one. An error rejects the current record and undoes its outputs and writes.
    #[inline(always)]
    pub fn each<R: FromFields<'a>, P: Ports>(
        self,
        mut ports: P,
        mut process: impl FnMut(Record<'a, R>, &mut P) -> Result<(), Error>,
    ) {
        let Self { batch, tables, failures } = self;
        let columns = Columns::<R>::of(&batch.table);
        ports.begin(&Start { input: Some(batch), streaming: false, limits: (usize::MAX, usize::MAX) });
        for row in 0..columns.rows() {
            ports.at(row);
            tables.at(row);
            if let Err(error) = process(Record::by_field(batch, row, columns.get(row)), &mut ports) {
                ports.take_back();
                tables.take_back();
                failures.reject(row, &error);
            }
            ports.tell_if_much();
        }
        ports.tell();
    }

    /// Passes the whole batch on. An error rejects every record that was not yet processed.
    pub fn whole<R: FromFields<'a>, P: Ports>(
        self,
        mut ports: P,
        process: impl FnOnce(Batch<'_, R>, &mut P) -> Result<(), Error>,
    ) {
        let Self { batch, tables, failures } = self;
        let rows = Columns::<R>::of(&batch.table).rows();
        if rows == 0 {
            return;
        }
        ports.begin(&Start { input: Some(batch), streaming: false, limits: (usize::MAX, usize::MAX) });
        ports.leave();
        let done = Cell::new(0);
        if let Err(error) = process(Batch::new(batch, tables, failures, &done), &mut ports) {
            if done.get() >= rows {
                broken("process_batch", &error);
            }
            for row in done.get()..rows {
                failures.reject(row, &error);
            }
        }
        ports.tell();
    }
}

/// Calls `end` of a process by field with its outputs. Nothing is taken back.
pub fn emit_last<P: Ports>(mut ports: P, end: impl FnOnce(&mut P) -> Result<(), Error>) -> Result<(), Error> {
    ports.begin(&Start { input: None, streaming: true, limits: (usize::MAX, usize::MAX) });
    end(&mut ports)?;
    ports.tell();
    Ok(())
}

/// A call of a source by field.
#[derive(Debug, Clone, Copy)]
pub struct FieldsNext {
    limits: (usize, usize),
}

impl FieldsNext {
    /// Calls `next` until the host has as many records as it asked for, the operator returns another value than `More`,
    /// or a call emits nothing. The outputs of a `next` that fails are taken back.
    pub fn each<P: Ports>(
        self,
        mut ports: P,
        mut next: impl FnMut(&mut P) -> Result<Progress, Error>,
    ) -> Result<Progress, Error> {
        ports.begin(&Start { input: None, streaming: false, limits: self.limits });
        let found = loop {
            let (before, _) = ports.emitted();
            ports.at(0);
            match next(&mut ports) {
                Ok(Progress::More) => {
                    let (rows, bytes) = ports.emitted();
                    if rows <= before || rows >= self.limits.0 || bytes >= self.limits.1 {
                        break Ok(Progress::More);
                    }
                    ports.tell_if_much();
                }
                Ok(progress) => break Ok(progress),
                Err(error) => {
                    ports.take_back();
                    break Err(error);
                }
            }
        };
        ports.tell();
        found
    }
}

/// A call of a sink by field.
#[derive(Debug)]
pub struct FieldsWrite<'a> {
    batch: &'a FieldBatch,
    failures: &'a mut Failures,
}

impl<'a> FieldsWrite<'a> {
    /// Writes the records one by one. An error rejects the record.
    #[inline(always)]
    pub fn each<R: FromFields<'a>>(self, mut write: impl FnMut(Record<'a, R>) -> Result<(), Error>) {
        let Self { batch, failures } = self;
        let columns = Columns::<R>::of(&batch.table);
        for row in 0..columns.rows() {
            if let Err(error) = write(Record::by_field(batch, row, columns.get(row))) {
                failures.reject(row, &error);
            }
        }
    }
}

/// The lane of a [`FieldsProcess`]: one copy of the operator behind the functions of the contract.
#[derive(Debug)]
pub struct FieldsProcessLane<O> {
    operator: Running<O>,
    tables: Tables,
    failures: Failures,
}

impl<O: FieldsProcess> FieldsProcessLane<O> {
    /// Creates a lane that is not open yet.
    pub fn new() -> Self {
        Self { operator: Running::default(), tables: Tables::default(), failures: Failures::default() }
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
    pub fn call(&mut self, batch: FieldBatch) {
        let operator = self.operator.get();
        let batch = Rc::new(batch);
        self.tables.begin(batch.keys.as_ref(), batch.table.rows());
        operator.process(FieldsCall { batch: &batch, tables: &self.tables, failures: &mut self.failures });
        self.tables.finish();
        self.failures.tell();
        metrics::flush();
    }

    /// `end` of the contract. An error fails the call, because there is no record to reject.
    pub fn end(&mut self) {
        let operator = self.operator.get();
        if let Err(error) = operator.end() {
            broken("end", &error);
        }
        self.tables.finish();
        metrics::flush();
    }

    /// `close` of the contract.
    pub fn close(&mut self) {
        self.operator.close(O::close);
    }
}

/// The lane of a [`FieldsSource`]: one copy of the operator behind the functions of the contract.
#[derive(Debug)]
pub struct FieldsSourceLane<O> {
    operator: Running<O>,
}

impl<O: FieldsSource> FieldsSourceLane<O> {
    /// Creates a lane that is not open yet.
    pub fn new() -> Self {
        Self { operator: Running::default() }
    }

    /// `ports` of the contract.
    pub fn ports(&self) -> Vec<String> {
        O::PORTS.iter().map(|name| (*name).to_owned()).collect()
    }

    /// `open` of the contract.
    pub fn open(&mut self, context: &Context) -> Result<(), String> {
        self.operator.open(|| O::open(context))
    }

    /// `next` of the contract.
    pub fn call(&mut self, max_records: u32, max_bytes: u32) -> Result<Progress, String> {
        let operator = self.operator.get();
        let found = operator.next(FieldsNext { limits: (max_records as usize, max_bytes as usize) });
        metrics::flush();
        found.map_err(|error| error.message().to_owned())
    }

    /// `position` of the contract. An error fails the call, because `position` cannot return an error.
    pub fn position(&mut self) -> Vec<u8> {
        let operator = self.operator.get();
        let mut position = Vec::new();
        if let Err(error) = operator.position(&mut position) {
            broken("position", &error);
        }
        position
    }

    /// `seek` of the contract.
    pub fn seek(&mut self, position: &[u8]) -> Result<(), String> {
        let operator = self.operator.get();
        operator.seek(position).map_err(|error| error.message().to_owned())
    }

    /// `close` of the contract.
    pub fn close(&mut self) {
        self.operator.close(O::close);
    }
}

/// The lane of a [`FieldsSink`]: one copy of the operator behind the functions of the contract.
#[derive(Debug)]
pub struct FieldsSinkLane<O> {
    operator: Running<O>,
    failures: Failures,
}

impl<O: FieldsSink> FieldsSinkLane<O> {
    /// Creates a lane that is not open yet.
    pub fn new() -> Self {
        Self { operator: Running::default(), failures: Failures::default() }
    }

    /// `open` of the contract.
    pub fn open(&mut self, context: &Context) -> Result<(), String> {
        self.operator.open(|| O::open(context))
    }

    /// `write` of the contract.
    pub fn call(&mut self, batch: &FieldBatch) {
        let operator = self.operator.get();
        operator.write(FieldsWrite { batch, failures: &mut self.failures });
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

impl<O: FieldsProcess> Default for FieldsProcessLane<O> {
    fn default() -> Self {
        Self::new()
    }
}

impl<O: FieldsSource> Default for FieldsSourceLane<O> {
    fn default() -> Self {
        Self::new()
    }
}

impl<O: FieldsSink> Default for FieldsSinkLane<O> {
    fn default() -> Self {
        Self::new()
    }
}
