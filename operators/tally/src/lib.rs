//! `tally`: counts the records of each key and tells the totals, as JSON, when the input ends. A process that says nothing before its last word.

use sage_guest::state::{Tables, Value};
use sage_guest::{Context, Emitter, Error, Json};
use serde::Serialize;

/// What is told of a key: the key as text, or its bytes in hexadecimal digits where they are no text. Two keys are never told as one.
#[derive(Debug, Serialize)]
struct Line<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_hex: Option<String>,
    records: u64,
}

impl<'a> Line<'a> {
    fn new(key: &'a [u8], records: u64) -> Self {
        let text = std::str::from_utf8(key).ok();
        let hex = || key.iter().map(|byte| format!("{byte:02x}")).collect();
        Self { key: text, key_hex: text.is_none().then(hex), records }
    }
}

/// How many records each key had.
#[derive(Debug)]
pub struct Tally {
    records: Value<u64>,
}

/// Counts the records of each key and tells the totals, as JSON, at the end of input.
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
            out.key(key.as_slice()).emit(Json(Line::new(&key, records)))?;
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

    #[test]
    fn keys_that_are_no_text_are_told_too_each_for_itself() {
        let mut lane = testing::Process::<Tally>::open(json!({})).unwrap();
        lane.run([&b"JFK"[..], b"Z\xfcrich", b"Z\xfdrich"].map(|key| Record::new("x").key(key)));
        let expected = [
            r#"{"key":"JFK","records":1}"#,
            r#"{"key_hex":"5afc72696368","records":1}"#,
            r#"{"key_hex":"5afd72696368","records":1}"#,
        ];
        assert_eq!(lane.end().texts(), expected);
    }
}
