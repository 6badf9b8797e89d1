//! `key-field`: keys each record by one of its fields, like `cut`: `config = { delimiter = ",", field = 2 }`.
//! Shows a key-by over plain bytes; the key is borrowed from the record.

use delimited::Delimiter;
use sage_guest::{Describe, Error};

/// The field that is the key.
#[derive(Debug, Default, serde::Deserialize, Describe)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The text between fields. The default is a space.
    pub delimiter: Delimiter,
    /// Index of the field, counted from 0.
    pub field: usize,
}

/// Keys each record by one of its fields. A record with too few fields is rejected.
#[sage_guest::key_by]
pub fn key_field<'a>(record: &'a [u8], settings: &Settings) -> Result<&'a [u8], Error> {
    settings.delimiter.field(record, settings.field)
}

#[cfg(test)]
mod tests {
    use sage_guest::testing;
    use serde_json::json;

    use super::key_field;

    #[test]
    fn a_record_is_keyed_by_its_field() {
        let mut lane = testing::KeyBy::<key_field>::open(json!({"delimiter": "§", "field": 1})).unwrap();
        let outcome = lane.run(["a§b", "c§§d", "e"]);
        assert_eq!(outcome.keys(), ["b", ""]);
        assert_eq!(outcome.messages(), ["no field 1 when split at \"§\""]);
    }
}
