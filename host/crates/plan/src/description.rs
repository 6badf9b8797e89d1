use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::config_schema::{ConfigSchema, SchemaError};

/// Description that a component gives of itself in its section [`Description::SECTION`]. The host reads it
/// before it runs any part of the component.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// Purpose of the operator, for people.
    pub docs: String,
    /// Whether the operator keeps keyed state. A `process` without keyed state may have several instances on
    /// input without keys.
    pub keeps_state: bool,
    /// JSON Schema of the `config` table. `None` if the component gives none.
    pub config: Option<Value>,
}

/// The error for a description that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DescriptionError {
    /// The section is not JSON of the expected shape.
    #[error("its section \"sage:description\" is no description: {0}")]
    Shape(String),
    /// The component has more than one such section.
    #[error("it has more than one section \"{}\"", Description::SECTION)]
    Twice,
    /// The description was written for another version of the host.
    #[error("its description has version {found}, this host reads version {}", Description::VERSION)]
    Version {
        /// Version in the description.
        found: u64,
    },
    /// The description's `config` is no schema.
    #[error("`config` of its description is no JSON Schema that this host reads: {0}")]
    Schema(#[from] SchemaError),
}

/// The section as it is written. Keys of a later version are ignored.
#[derive(Deserialize)]
struct Written {
    version: u64,
    #[serde(default)]
    docs: String,
    #[serde(default)]
    state: State,
    #[serde(default)]
    config: Option<Value>,
}

#[derive(Deserialize, Default, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum State {
    None,
    #[default]
    Keyed,
}

impl Description {
    /// Name of the component's section.
    pub const SECTION: &'static str = "sage:description";
    /// Version that this host reads.
    pub const VERSION: u64 = 1;
    /// Longest section, in bytes. The sections of the sample operators have a few hundred.
    pub const LONGEST: usize = 64 << 10;

    /// Parses the bytes of a section. Pure, and bounded by [`Description::LONGEST`].
    ///
    /// # Errors
    /// [`DescriptionError`] for bytes that are no description of this version.
    pub fn read(section: &[u8]) -> Result<Self, DescriptionError> {
        if section.len() > Self::LONGEST {
            let shape = format!("it has {} bytes, at most {} are read", section.len(), Self::LONGEST);
            return Err(DescriptionError::Shape(shape));
        }
        let written: Value =
            serde_json::from_slice(section).map_err(|error| DescriptionError::Shape(error.to_string()))?;
        if !is_plain(&written) {
            return Err(DescriptionError::Shape("a text in it has control characters".to_owned()));
        }
        let written: Written =
            serde_json::from_value(written).map_err(|error| DescriptionError::Shape(error.to_string()))?;
        if written.version != Self::VERSION {
            return Err(DescriptionError::Version { found: written.version });
        }
        if let Some(config) = &written.config {
            ConfigSchema::read(config)?;
        }
        Ok(Self { docs: written.docs, keeps_state: written.state == State::Keyed, config: written.config })
    }

    /// The schema of `config`, if there is one.
    #[must_use]
    pub fn config_schema(&self) -> Option<ConfigSchema> {
        // The schema was parsed once before, so an error is not expected.
        self.config.as_ref().and_then(|config| ConfigSchema::read(config).ok())
    }
}

/// Whether every text in the value is free of control characters, which could change the state of a terminal.
fn is_plain(value: &Value) -> bool {
    let plain = |text: &str| text.chars().all(|letter| !letter.is_control() || matches!(letter, '\n' | '\t'));
    match value {
        Value::String(text) => plain(text),
        Value::Array(items) => items.iter().all(is_plain),
        Value::Object(entries) => entries.iter().all(|(key, value)| plain(key) && is_plain(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_is_read_with_what_it_leaves_out() {
        let read = |text: &str| Description::read(text.as_bytes());
        let nothing = Description { docs: String::new(), keeps_state: true, config: None };
        assert_eq!(read(r#"{"version":1}"#), Ok(nothing.clone()));
        assert_eq!(read(r#"{"version":1,"fields":["a later version's"]}"#), Ok(nothing));
        let whole = read(r#"{"version":1,"docs":"Keeps.","state":"none","config":{"type":"object"}}"#).unwrap();
        assert_eq!((whole.docs.as_str(), whole.keeps_state, whole.config.is_some()), ("Keeps.", false, true));
    }

    #[test]
    fn what_is_no_description_is_an_error_with_the_reason() {
        let cases = [
            ("", "is no description: EOF"),
            ("[]", "is no description"),
            (r#"{"docs":"x"}"#, "missing field `version`"),
            (r#"{"version":2}"#, "its description has version 2, this host reads version 1"),
            (r#"{"version":1,"docs":"\u001b[31m"}"#, "a text in it has control characters"),
            (r#"{"version":1,"state":"some"}"#, "unknown variant `some`"),
            (r#"{"version":1,"config":7}"#, "`config` of its description is no JSON Schema"),
        ];
        for (text, reason) in cases {
            let error = Description::read(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
        let long = format!("{{\"version\":1,\"docs\":\"{}\"}}", "x".repeat(Description::LONGEST));
        assert!(Description::read(long.as_bytes()).unwrap_err().to_string().contains("at most 65536 are read"));
    }
}
