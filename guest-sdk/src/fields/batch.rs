//! The records of a whole batch, by field.

use std::cell::Cell;
use std::marker::PhantomData;

use super::{Columns, FieldBatch, FromFields, Outputs};
use crate::operator::Failures;
use crate::state::Tables;
use crate::{Error, Record};

/// The records of a whole batch by field, passed to the `process_batch` of a `process`. There is always at least one
/// record.
///
/// First do the work that is better done on columns, such as a sum or running a model. Then process the records one by
/// one with [`each`](Self::each).
///
/// ```
/// use sage_guest::{Batch, Error, Port, Record};
///
/// #[derive(Record)]
/// struct Reading<'a> { sensor: &'a str, celsius: f64 }
///
/// #[derive(Record)]
/// #[record(extends)]
/// struct Above { above_mean: f64 }
///
/// #[derive(Default)]
/// struct AboveMean;
///
/// #[sage_guest::process]
/// impl AboveMean {
///     fn process_batch(&mut self, readings: Batch<Reading>, out: &mut Port<Above>) -> Result<(), Error> {
///         let (_, celsius) = readings.columns();
///         let mean = celsius.as_slice().iter().sum::<f64>() / celsius.len() as f64;
///         let above: Vec<f64> = celsius.iter().map(|celsius| celsius - mean).collect();
///         readings.each(out, above, |_, above_mean, out| out.emit(Above { above_mean }))
///     }
/// }
/// ```
#[derive(Debug)]
pub struct Batch<'a, R> {
    batch: &'a FieldBatch,
    tables: &'a Tables,
    failures: &'a mut Failures,
    /// Number of records already processed, from the start of the batch.
    done: &'a Cell<usize>,
    record: PhantomData<fn() -> R>,
}

impl<'a, R> Batch<'a, R> {
    pub(crate) fn new(
        batch: &'a FieldBatch,
        tables: &'a Tables,
        failures: &'a mut Failures,
        done: &'a Cell<usize>,
    ) -> Self {
        Self { batch, tables, failures, done, record: PhantomData }
    }

    /// Number of records.
    #[must_use]
    pub fn len(&self) -> usize {
        self.batch.table.rows()
    }

    /// Always `false`: a batch has at least one record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<'a, R: FromFields<'a>> Batch<'a, R> {
    /// The columns: a tuple with a [`ColumnView`](super::ColumnView) for each field, in the order of the struct.
    #[must_use]
    pub fn columns(&self) -> R::Columns {
        Columns::<R>::of(&self.batch.table).into_inner()
    }

    /// Iterates over the records, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Record<'a, R>> {
        let (batch, columns) = (self.batch, Columns::<R>::of(&self.batch.table));
        (0..self.len()).map(move |row| Record::by_field(batch, row, columns.get(row)))
    }

    /// Processes the records in order, each with its own entry of `answers`, which has one answer for each record in
    /// the same order. `ports` are the outputs to which `process` emits: one, or several as a tuple.
    ///
    /// `process` works as in an operator that receives the records one by one. Its outputs come from the current record
    /// and inherit key, event time and headers. State is the state of the record's key. An error rejects only this
    /// record and undoes its outputs and writes.
    ///
    /// # Errors
    /// The number of answers differs from the number of records. No record has been processed then.
    pub fn each<A, P: Outputs>(
        self,
        mut ports: P,
        answers: impl IntoIterator<Item = A, IntoIter: ExactSizeIterator>,
        mut process: impl FnMut(Record<'a, R>, A, &mut P) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let answers = answers.into_iter();
        if answers.len() != self.len() {
            let (answers, records) = (answers.len(), self.len());
            return Err(Error::new(format_args!("{answers} answers for a batch of {records} records")));
        }
        let columns = Columns::<R>::of(&self.batch.table);
        for (row, answer) in answers.enumerate() {
            ports.at(row);
            self.tables.at(row);
            if let Err(error) = process(Record::by_field(self.batch, row, columns.get(row)), answer, &mut ports) {
                ports.take_back();
                self.tables.take_back();
                self.failures.reject(row, &error);
            }
            ports.tell_if_much();
            self.done.set(row + 1);
        }
        ports.leave();
        Ok(())
    }
}
