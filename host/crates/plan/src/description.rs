use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::config_schema::{ConfigSchema, SchemaError};

/// What a component says of itself, in its section [`Description::SECTION`]: read before anything of it runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// For people: what the operator does.
    pub docs: String,
    /// Whether the operator keeps keyed state; a `process` that does not may have several instances on input without keys.
    pub keeps_state: bool,
    /// JSON Schema of the `config` table; `None` where the component does not say.
    pub config: Option<Value>,
}

/// Why a description cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DescriptionError {
    /// It is no JSON of this shape.
    #[error("its section \"sage:description\" is no description: {0}")]
    Shape(String),
    /// The component has it more than once.
    #[error("it has more than one section \"{}\"", Description::SECTION)]
    Twice,
    /// It was written for a later host.
    #[error("its description has version {found}, this host reads version {}", Description::VERSION)]
    Version {
        /// What it says.
        found: u64,
    },
    /// Its `config` is no schema.
    #[error("`config` of its description is no JSON Schema that this host reads: {0}")]
    Schema(#[from] SchemaError),
}

/// The section as it is written. Keys that a later version adds are passed over.
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
    /// The name of the component's section.
    pub const SECTION: &'static str = "sage:description";
    /// The version that this host reads.
    pub const VERSION: u64 = 1;
    /// The longest section in bytes; the samples' have a few hundred.
    pub const LONGEST: usize = 64 << 10;

    /// Reads the bytes of a section. Pure, and bounded by [`Description::LONGEST`].
    ///
    /// # Errors
    /// Whatever makes them no description of this version.
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

    /// The schema of `config`, where there is one.
    #[must_use]
    pub fn config_schema(&self) -> Option<ConfigSchema> {
        // It was read once already.
        self.config.as_ref().and_then(|config| ConfigSchema::read(config).ok())
    }
}

/// Whether no text of it could change how a terminal shows what follows.
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
