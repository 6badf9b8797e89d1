//! `count`: emits, for each record, the number of records of its key so far. Shows the smallest keyed state:
//! one number for each key, read and written for a whole batch at once.

use sage_guest::state::{Tables, Value};
use sage_guest::{Context, Emitter, Error};

/// A running count for each key.
#[derive(Debug)]
pub struct Count {
    seen: Value<u64>,
}

/// Emits, for each record, the number of records of its key so far.
#[sage_guest::process]
impl Count {
    fn open(_: &Context, tables: &mut Tables) -> Result<Self, Error> {
        Ok(Self { seen: tables.value("seen")? })
    }

    fn process(&mut self, _: &[u8], out: &mut Emitter) -> Result<(), Error> {
        let seen = self.seen.get()?.unwrap_or(0) + 1;
        self.seen.put(seen)?;
        out.emit(seen)
    }
}

#[cfg(test)]
mod tests {
    use sage_guest::testing::{self, Record};
    use serde_json::json;

    use super::Count;

    #[test]
    fn each_record_learns_how_many_of_its_key_there_were() {
        let mut lane = testing::Process::<Count>::open(json!({})).unwrap();
        let batch = || ["a", "b", "a"].map(|key| Record::new("x").key(key));
        assert_eq!(lane.run(batch()).texts(), ["1", "1", "2"]);
        lane.restart().unwrap();
        assert_eq!(lane.run(batch()).texts(), ["3", "2", "4"]);
        assert_eq!(lane.value::<u64>("seen", "a"), Some(4));
    }
}
