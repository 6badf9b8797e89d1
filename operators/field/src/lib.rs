//! `field`: gives one field of each record, as `cut` would, and another text where it is empty:
//! `config = { delimiter = ",", field = 2, empty = "unknown" }`. A map that gives borrowed bytes: a piece of the record, or of the configuration.

use delimited::Delimiter;
use sage_guest::{Describe, Error};

/// Which field.
#[derive(Debug, Default, serde::Deserialize, Describe)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The text between fields; a space where nothing else is said.
    pub delimiter: Delimiter,
    /// Which field, counted from 0.
    pub field: usize,
    /// What an empty field becomes; nothing where nothing else is said.
    pub empty: String,
}

/// Gives one field of each record; a record with too few is rejected.
#[sage_guest::map]
pub fn field<'a>(record: &'a [u8], settings: &'a Settings) -> Result<&'a [u8], Error> {
    let field = settings.delimiter.field(record, settings.field)?;
    Ok(if field.is_empty() { settings.empty.as_bytes() } else { field })
}

#[cfg(test)]
mod tests {
    use sage_guest::testing;
    use serde_json::json;

    use super::field;

    #[test]
    fn a_field_is_what_stands_between_delimiters_and_nothing_is_something_else() {
        let config = json!({"delimiter": ",", "field": 1, "empty": "unknown"});
        let mut lane = testing::Map::<field>::open(config).unwrap();
        let outcome = lane.run(["a,b,c", "d,,e", "f", "g,h", ","]);
        assert_eq!(outcome.texts(), ["b", "unknown", "h", "unknown"]);
        assert_eq!(outcome.messages(), ["no field 1 when split at \",\""]);
    }
}
