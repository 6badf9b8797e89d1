//! Splits records at a delimiter. A library for the operators `field` and `key-field`, not an operator.

use sage_guest::Describe;

/// The text between the fields of a record, one byte or more. The default is a space.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize, Describe)]
#[serde(try_from = "String")]
pub struct Delimiter(String);

impl Default for Delimiter {
    fn default() -> Self {
        Self(" ".to_owned())
    }
}

impl TryFrom<String> for Delimiter {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text.is_empty() { Err("a delimiter has at least one character") } else { Ok(Self(text)) }
    }
}

impl Delimiter {
    /// Returns field `index` of a record, counted from 0.
    ///
    /// # Errors
    /// The record has fewer fields.
    #[inline]
    pub fn field<'a>(&self, record: &'a [u8], index: usize) -> Result<&'a [u8], String> {
        let found = match self.0.as_bytes() {
            // A loop over bytes, because nearly every delimiter is one byte.
            [byte] => record.split(|other| other == byte).nth(index),
            delimiter => nth(record, delimiter, index),
        };
        found.ok_or_else(|| format!("no field {index} when split at {:?}", self.0))
    }
}

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
        assert_eq!(Delimiter::default().field(b"a", 1), Err("no field 1 when split at \" \"".to_owned()));
    }

    #[test]
    fn no_text_is_no_delimiter() {
        assert!(Delimiter::try_from(String::new()).is_err());
    }
}
