//! Counts the records of each key and tells the totals at the end of input.

use sage_guest::state::{Tables, Value};
use sage_guest::{Context, Emitter, Error, Json};
use serde::Serialize;

/// The output record, one for each key.
#[derive(Debug, Serialize)]
pub struct Total {
    /// `null` for records without a key.
    key: Option<String>,
    records: u64,
}

/// The operator. Its own memory is lost when it fails and restarts. Data that must survive is in tables,
/// which the host keeps.
#[derive(Debug)]
pub struct Count {
    seen: Value<u64>,
}

#[sage_guest::process]
impl Count {
    fn open(_: &Context, tables: &mut Tables) -> Result<Self, Error> {
        Ok(Self {
            seen: tables.value("seen")?,
        })
    }

    /// The state belongs to the record's key.
    fn process(&mut self, _: &[u8], _: &mut Emitter) -> Result<(), Error> {
        let seen = self.seen.get()?.unwrap_or(0);
        self.seen.put(seen + 1)
    }

    /// Called when no more input will come.
    fn end(&mut self, out: &mut Emitter) -> Result<(), Error> {
        for entry in self.seen.entries() {
            let (key, records) = entry?;
            // A key that is not UTF-8 must not lose the totals of the others, nor look like another key.
            let key = key.map(|key| match String::from_utf8(key) {
                Ok(text) => text,
                Err(odd) => format!("{:02x?}", odd.into_bytes()),
            });
            out.emit(Json(Total { key, records }))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use sage_guest::testing::{self, Record};
    use serde_json::json;

    use super::*;

    #[test]
    fn totals_are_told_at_the_end_and_outlive_a_restart() {
        let mut lane = testing::Process::<Count>::open(json!({})).unwrap();
        let outcome = lane.run(["a", "b", "a"].map(|key| Record::new("anything").key(key)));
        assert!(outcome.outputs.is_empty());
        lane.restart().unwrap();
        lane.run([Record::new("anything").key("a")]);
        assert_eq!(
            lane.end().texts(),
            [r#"{"key":"a","records":3}"#, r#"{"key":"b","records":1}"#]
        );
    }
}
