//! `key-field`: keys each record by one field of it, as `cut` would: `config = { delimiter = ",", field = 2 }`. A key-by over
//! plain bytes; the key is borrowed from the record.

use sage_guest::Error;

/// Where the key stands.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// One ASCII character between fields; a space where it is not said.
    pub delimiter: char,
    /// Which field, counted from 0.
    pub field: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { delimiter: ' ', field: 0 }
    }
}

/// The field, or a rejected record where there are too few.
#[sage_guest::key_by]
pub fn key_field<'a>(record: &'a [u8], settings: &Settings) -> Result<&'a [u8], Error> {
    let delimiter = settings.delimiter as u8;
    record
        .split(|byte| *byte == delimiter)
        .nth(settings.field)
        .ok_or_else(|| format!("no field {} when split at {:?}", settings.field, settings.delimiter).into())
}

#[cfg(test)]
mod tests {
    use super::{Settings, key_field};

    #[test]
    fn a_field_is_what_stands_between_delimiters() {
        let key = |record: &'static str, delimiter, field| {
            key_field(record.as_bytes(), &Settings { delimiter, field }).map_err(|error| error.message().to_owned())
        };
        assert_eq!(key("a b c", ' ', 0), Ok(&b"a"[..]));
        assert_eq!(key("a,b,,d", ',', 2), Ok(&b""[..]));
        assert_eq!(key("alone", ' ', 0), Ok(&b"alone"[..]));
        assert_eq!(key("a b", ' ', 2), Err("no field 2 when split at ' '".to_owned()));
    }
}
