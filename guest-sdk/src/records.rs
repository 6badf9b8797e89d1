use crate::operator::Call;
use crate::{Emitter, Error, Record};

/// The records of a whole batch, passed to the `process_batch` of a `process`. There is always at least one
/// record.
///
/// First do the work that is better done for all records at once, such as running a model. Then process the
/// records one by one with [`each`](Self::each). A record whose payload is not a `P` has already been rejected
/// and is not in `Records`.
///
/// ```
/// use sage_guest::{Emitter, Error, Records};
///
/// #[derive(Default)]
/// struct AboveMean;
///
/// #[sage_guest::process]
/// impl AboveMean {
///     fn process_batch(&mut self, numbers: Records<f64>) -> Result<(), Error> {
///         let sum: f64 = numbers.iter().map(|number| number.payload).sum();
///         let mean = sum / numbers.len() as f64;
///         let above: Vec<f64> = numbers.iter().map(|number| number.payload - mean).collect();
///         numbers.each(above, |_, above, out| out.emit(above))
///     }
/// }
/// ```
#[derive(Debug)]
pub struct Records<'a, P = &'a [u8]> {
    /// Each record with its index in the batch.
    records: Vec<(usize, Record<'a, P>)>,
    call: Call<'a>,
}

impl<'a, P> Records<'a, P> {
    pub(crate) fn new(records: Vec<(usize, Record<'a, P>)>, call: Call<'a>) -> Self {
        Self { records, call }
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Always `false`: a batch has at least one record.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Iterates over all records, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Record<'a, P>> {
        self.records.iter().map(|(_, record)| record)
    }

    /// Processes the records in order, each with its own entry of `answers`, which has one answer for each
    /// record in the same order.
    ///
    /// `process` works as in an operator that receives the records one by one. Its outputs come from the
    /// current record and inherit key, event time and headers. State is the state of the record's key. An error
    /// rejects only this record and undoes its outputs and writes.
    ///
    /// # Errors
    /// The number of answers differs from the number of records. No record has been processed then.
    pub fn each<A>(
        mut self,
        answers: impl IntoIterator<Item = A, IntoIter: ExactSizeIterator>,
        mut process: impl FnMut(Record<'a, P>, A, &mut Emitter) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let answers = answers.into_iter();
        if answers.len() != self.records.len() {
            let (answers, records) = (answers.len(), self.records.len());
            return Err(Error::new(format_args!("{answers} answers for a batch of {records} records")));
        }
        for ((row, record), answer) in self.records.into_iter().zip(answers) {
            self.call.at(row, |out| process(record, answer, out));
            self.call.done(row + 1);
        }
        self.call.done(usize::MAX);
        Ok(())
    }
}
