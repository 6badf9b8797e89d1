//! `prefix`: puts a text in front of each record: `config = { text = "eu-west " }`. Shows a map with its own
//! payload type, which writes its pieces directly into the output column. A `String` would be built first and
//! then copied.

use sage_guest::{Describe, Error, IntoPayload};

/// Settings from the pipeline file.
#[derive(Debug, serde::Deserialize, Describe)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The text to put in front.
    pub text: String,
}

/// Two pieces, one after the other.
#[derive(Debug, PartialEq, Eq)]
pub struct Joined<'a>(&'a [u8], &'a [u8]);

impl IntoPayload for Joined<'_> {
    #[inline]
    fn write(self, out: &mut Vec<u8>) -> Result<(), Error> {
        self.0.write(out)?;
        self.1.write(out)
    }
}

/// Puts the text in front of each record.
#[sage_guest::map]
pub fn prefix<'a>(record: &'a [u8], settings: &'a Settings) -> Joined<'a> {
    Joined(settings.text.as_bytes(), record)
}

#[cfg(test)]
mod tests {
    use sage_guest::testing;
    use serde_json::json;

    use super::prefix;

    #[test]
    fn the_text_comes_first() {
        let mut lane = testing::Map::<prefix>::open(json!({"text": "eu-west "})).unwrap();
        assert_eq!(lane.run(["a", "", "b c"]).texts(), ["eu-west a", "eu-west ", "eu-west b c"]);
    }
}
