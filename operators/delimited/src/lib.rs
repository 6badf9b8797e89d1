//! Splits records at a delimiter. A library for the operators `field` and `key-field`, not an operator.

use sage_guest::{Describe, Error};

/// The text between the fields of a record, one byte or more. The default is a space.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize, Describe)]
#[serde(try_from = "String")]
pub struct Delimiter {
    text: String,
    /// The text, if it is one byte, as nearly every delimiter is.
    byte: Option<u8>,
}

impl Default for Delimiter {
    fn default() -> Self {
        Self { text: " ".to_owned(), byte: Some(b' ') }
    }
}

impl TryFrom<String> for Delimiter {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match *text.as_bytes() {
            [] => Err("a delimiter has at least one character"),
            [byte] => Ok(Self { text, byte: Some(byte) }),
            _ => Ok(Self { text, byte: None }),
        }
    }
}

impl Delimiter {
    /// Returns field `index` of a record, counted from 0.
    ///
    /// # Errors
    /// The record has fewer fields.
    #[inline]
    pub fn field<'a>(&self, record: &'a [u8], index: usize) -> Result<&'a [u8], Error> {
        let found = match self.byte {
            Some(byte) => record.split(|other| *other == byte).nth(index),
            None => nth(record, self.text.as_bytes(), index),
        };
        found.ok_or_else(|| self.missing(index))
    }

    // Apart from `field`, so that the loop over records has no code for messages.
    #[cold]
    #[inline(never)]
    fn missing(&self, index: usize) -> Error {
        Error::new(format_args!("no field {index} when split at {:?}", self.text))
    }
}

#[inline(never)]
fn nth<'a>(record: &'a [u8], delimiter: &[u8], index: usize) -> Option<&'a [u8]> {
    let mut rest = record;
    for _ in 0..index {
        let at = find(rest, delimiter)?;
        rest = rest.get(at + delimiter.len()..)?;
    }
    let end = find(rest, delimiter).unwrap_or(rest.len());
    rest.get(..end)
}

fn find(bytes: &[u8], delimiter: &[u8]) -> Option<usize> {
    bytes.windows(delimiter.len()).position(|window| window == delimiter)
}

#[cfg(test)]
mod tests {
    use super::Delimiter;

    #[test]
    fn a_field_is_what_stands_between_delimiters() {
        let cases = [
            ("a b c", " ", 0, Some("a")),
            ("a,b,,d", ",", 2, Some("")),
            ("alone", " ", 0, Some("alone")),
            ("a b", " ", 2, None),
            ("a§b§c", "§", 1, Some("b")),
            ("a§b", "§", 0, Some("a")),
            ("a→b→", "→", 2, Some("")),
            ("a||b|c", "||", 1, Some("b|c")),
            ("a||||b", "||", 1, Some("")),
            ("", "||", 0, Some("")),
            ("ab", "||", 1, None),
            ("|||", "||", 1, Some("|")),
        ];
        for (record, delimiter, index, field) in cases {
            let delimiter = Delimiter::try_from(delimiter.to_owned()).unwrap();
            let found = delimiter.field(record.as_bytes(), index).ok();
            assert_eq!(found, field.map(str::as_bytes), "{record:?} {delimiter:?} {index}");
        }
        let error = Delimiter::default().field(b"a", 1).unwrap_err();
        assert_eq!(error.message(), "no field 1 when split at \" \"");
    }

    #[test]
    fn no_text_is_no_delimiter() {
        assert!(Delimiter::try_from(String::new()).is_err());
    }
}
