//! `dedupe`: passes the first record of each key and drops the others, across restarts. Shows keyed state that
//! only remembers that a key occurred, and a metric that counts the dropped records.

use sage_guest::state::{Tables, Value};
use sage_guest::{Context, Emitter, Error, Record, metrics};

/// The keys that have occurred.
#[derive(Debug)]
pub struct Dedupe {
    seen: Value<bool>,
}

/// Passes the first record of each key and drops the others.
#[sage_guest::process]
impl Dedupe {
    fn open(_: &Context, tables: &mut Tables) -> Result<Self, Error> {
        Ok(Self { seen: tables.value("seen")? })
    }

    fn process(&mut self, record: Record<&[u8]>, out: &mut Emitter) -> Result<(), Error> {
        if self.seen.get()?.is_some() {
            metrics::counter("duplicates", 1);
            return Ok(());
        }
        self.seen.put(true)?;
        out.emit(record.payload)
    }
}

#[cfg(test)]
mod tests {
    use sage_guest::testing::{self, Record};
    use serde_json::json;

    use super::Dedupe;

    #[test]
    fn the_first_of_each_key_passes() {
        let mut lane = testing::Process::<Dedupe>::open(json!({})).unwrap();
        let records = |records: &[(&str, &str)]| -> Vec<Record> {
            records.iter().map(|(key, payload)| Record::new(payload).key(key)).collect()
        };
        assert_eq!(lane.run(records(&[("a", "1"), ("b", "2"), ("a", "3")])).texts(), ["1", "2"]);
        lane.restart().unwrap();
        assert_eq!(lane.run(records(&[("b", "4"), ("c", "5")])).texts(), ["5"]);
        assert_eq!(lane.counter("duplicates"), 2);
    }
}
