//! `field`: returns one field of each record, like `cut`, and another text if the field is empty: `config = {
//! delimiter = ",", field = 2, empty = "unknown" }`. Shows a map that returns borrowed bytes: a piece of the
//! record or of the configuration.

use delimited::Delimiter;
use sage_guest::{Describe, Error};

/// The field to return.
#[derive(Debug, Default, serde::Deserialize, Describe)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The text between fields. The default is a space.
    pub delimiter: Delimiter,
    /// Index of the field, counted from 0.
    pub field: usize,
    /// The text that replaces an empty field. The default is the empty text.
    pub empty: String,
}

/// Returns one field of each record. A record with too few fields is rejected.
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
