//! Averages the readings of each station and minute.

use sage_guest::fields::Timestamp;
use sage_guest::{Error, Port, Record, Window};

/// The fields of an input record that this operator reads.
#[derive(Debug, Record)]
pub struct Reading {
    celsius: f64,
}

/// The output record, one for each window.
#[derive(Debug, Record)]
pub struct Mean<'a> {
    station: &'a str,
    start: Timestamp,
    celsius: f64,
}

/// The operator. It keeps nothing itself: the host keeps the sum of each key and window.
#[derive(Debug, Default)]
pub struct Means;

#[sage_guest::window]
impl Means {
    /// Adds a record to the sum of its window. The sum begins as its `Default`.
    fn add(&mut self, sum: &mut (u64, f64), reading: Reading) {
        *sum = (sum.0 + 1, sum.1 + reading.celsius);
    }

    /// Adds the sum of a later session, if sessions have become one.
    fn merge(&mut self, sum: &mut (u64, f64), later: (u64, f64)) {
        *sum = (sum.0 + later.0, sum.1 + later.1);
    }

    /// Emits the result of a window that is complete.
    fn finish(
        &mut self,
        window: &Window,
        (count, sum): (u64, f64),
        out: &mut Port<Mean>,
    ) -> Result<(), Error> {
        out.emit(Mean {
            station: window.key_as()?,
            start: Timestamp(window.start()),
            celsius: sum / count as f64,
        })
    }
}
