use crate::operator::Call;
use crate::{Emitter, Error, Record};

/// The records of a whole batch: what the `process_batch` of a `process` is handed. Never empty.
///
/// Look at all of them, do for all at once what is better done so, such as running a model, and then go through them with [`each`](Self::each).
/// A record whose payload is no `P` is rejected before and is not among them.
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
    /// Each with the number that it has in the batch.
    records: Vec<(usize, Record<'a, P>)>,
    call: Call<'a>,
}

impl<'a, P> Records<'a, P> {
    pub(crate) fn new(records: Vec<(usize, Record<'a, P>)>, call: Call<'a>) -> Self {
        Self { records, call }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there are none, which never is.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Record<'a, P>> {
        self.records.iter().map(|(_, record)| record)
    }

    /// Go through them in order, each with what was found out about it: `answers` has one for each record, in their order.
    ///
    /// What `process` does is as in an operator that is handed one record after the other: what it emits comes from that record and inherits its key,
    /// event time and headers; state is that of its key; an error rejects this one record and undoes what it emitted and wrote.
    ///
    /// # Errors
    /// There are more or fewer answers than records: nothing was processed.
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
