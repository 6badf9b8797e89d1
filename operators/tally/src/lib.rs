//! `tally`: counts the records of each key and tells the totals, as JSON, when the input ends. A process that says nothing before its last word.

use sage_guest::state::{Tables, Value};
use sage_guest::{Context, Emitter, Error, Json};
use serde::Serialize;

/// What is told of a key.
#[derive(Debug, Serialize)]
struct Line<'a> {
    key: &'a str,
    records: u64,
}

/// How many records each key had.
#[derive(Debug)]
pub struct Tally {
    records: Value<u64>,
}

#[sage_guest::process]
impl Tally {
    fn open(_: &Context, tables: &mut Tables) -> Result<Self, Error> {
        Ok(Self { records: tables.value("records")? })
    }

    fn process(&mut self, _: &[u8], _: &mut Emitter) -> Result<(), Error> {
        self.records.update(|records| *records += 1)
    }

    fn end(&mut self, out: &mut Emitter) -> Result<(), Error> {
        for entry in self.records.entries() {
            let (key, records) = entry?;
            let key = std::str::from_utf8(&key)?;
            out.key(key).emit(Json(Line { key, records }))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use sage_guest::testing::{self, Record};
    use serde_json::json;

    use super::Tally;

    #[test]
    fn totals_are_told_at_the_end_across_restarts() {
        let mut lane = testing::Process::<Tally>::open(json!({})).unwrap();
        let batch = || ["b", "a", "b"].map(|key| Record::new("x").key(key));
        assert!(lane.run(batch()).outputs.is_empty());
        lane.restart().unwrap();
        lane.run(batch());
        assert_eq!(lane.end().texts(), [r#"{"key":"a","records":2}"#, r#"{"key":"b","records":4}"#]);
    }
}
