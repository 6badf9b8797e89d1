//! `tally`: counts the records of each key and emits the totals, as JSON, when the input ends. Shows a process
//! that emits nothing before `end`.

use sage_guest::state::{Tables, Value};
use sage_guest::{Context, Emitter, Error, Json};
use serde::Serialize;

/// The output for one key: the key as text, or its bytes in hexadecimal digits if they are not text. A record
/// without a key has the key `null`. Two different keys never have the same output.
#[derive(Debug, Serialize)]
struct Line<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<Option<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_hex: Option<String>,
    records: u64,
}

impl<'a> Line<'a> {
    fn new(key: Option<&'a [u8]>, records: u64) -> Self {
        match key.map(|key| (key, std::str::from_utf8(key))) {
            None => Self { key: Some(None), key_hex: None, records },
            Some((_, Ok(text))) => Self { key: Some(Some(text)), key_hex: None, records },
            Some((key, Err(_))) => {
                let hex = key.iter().map(|byte| format!("{byte:02x}")).collect();
                Self { key: None, key_hex: Some(hex), records }
            }
        }
    }
}

/// The number of records of each key.
#[derive(Debug)]
pub struct Tally {
    records: Value<u64>,
}

/// Counts the records of each key and emits the totals, as JSON, at the end of input.
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
            out.key_or_none(key.as_deref()).emit(Json(Line::new(key.as_deref(), records)))?;
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
    fn records_without_a_key_and_with_an_empty_one_are_counted_apart() {
        let mut lane = testing::Process::<Tally>::open(json!({})).unwrap();
        lane.run([Record::new("x").key(""), Record::new("x").key("")]);
        lane.run([Record::new("x")]);
        let outcome = lane.end();
        assert_eq!(outcome.texts(), [r#"{"key":"","records":2}"#, r#"{"key":null,"records":1}"#]);
        assert_eq!(outcome.keys(), [""]);
        assert_eq!(lane.value_without_key::<u64>("records"), Some(1));
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
