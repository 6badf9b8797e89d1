//! `field`: gives one field of each record, as `cut` would, and another text where it is empty:
//! `config = { delimiter = ",", field = 2, empty = "unknown" }`. A map that gives borrowed bytes: a piece of the record, or of the configuration.

use sage_guest::Error;

/// Which field.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// One ASCII character between fields; a space where it is not said.
    pub delimiter: char,
    /// Which field, counted from 0.
    pub field: usize,
    /// What an empty field becomes; nothing where it is not said.
    pub empty: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self { delimiter: ' ', field: 0, empty: String::new() }
    }
}

/// The field, or a rejected record where there are too few.
#[sage_guest::map]
pub fn field<'a>(record: &'a [u8], settings: &'a Settings) -> Result<&'a [u8], Error> {
    let delimiter = settings.delimiter as u8;
    let field = record
        .split(|byte| *byte == delimiter)
        .nth(settings.field)
        .ok_or_else(|| format!("no field {} when split at {:?}", settings.field, settings.delimiter))?;
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
        assert_eq!(outcome.messages(), ["no field 1 when split at ','"]);
    }
}
