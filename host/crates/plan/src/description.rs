use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::config_schema::{ConfigSchema, SchemaError};
use super::record_shape::{RecordShape, Rest, ShapeError, WrittenField, WrittenShape, WrittenSide};

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
    /// Fields that the operator reads and gives. `None` for an operator that receives records as bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shape: Option<RecordShape>,
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
    /// The description's fields cannot be used.
    #[error("the fields of its description cannot be used: {0}")]
    Fields(#[from] ShapeError),
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
    #[serde(default)]
    reads: Option<Vec<WrittenField>>,
    #[serde(default)]
    gives: Option<Vec<WrittenField>>,
    #[serde(default)]
    rest: Option<Rest>,
    #[serde(default)]
    ports: Option<Vec<WrittenSide>>,
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
        let Written { docs, state, config, reads, gives, rest, ports, .. } = written;
        let shape = WrittenShape { reads, gives, rest, ports }.read()?;
        Ok(Self { docs, keeps_state: state == State::Keyed, config, shape })
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
        let nothing = Description { keeps_state: true, ..Description::default() };
        assert_eq!(read(r#"{"version":1}"#), Ok(nothing.clone()));
        assert_eq!(read(r#"{"version":1,"fields":["a later version's"]}"#), Ok(nothing));
        let whole = read(r#"{"version":1,"docs":"Keeps.","state":"none","config":{"type":"object"}}"#).unwrap();
        assert_eq!((whole.docs.as_str(), whole.keeps_state, whole.config.is_some()), ("Keeps.", false, true));
    }

    #[test]
    fn the_fields_of_a_description_are_the_same_after_a_trip_through_json() {
        let text = r#"{
            "version": 1,
            "reads": [{ "name": "fahrenheit", "type": "f64", "later": 1 }],
            "gives": [
                { "name": "celsius", "type": "f64", "docs": "Rounded.\nTo one place." },
                { "name": "price", "type": "decimal(18,4)", "nullable": true },
                { "name": "tags", "type": "list<string?>" },
                {
                    "name": "place",
                    "type": "struct",
                    "nullable": true,
                    "fields": [{ "name": "lat", "type": "f64", "docs": "Degrees." }, { "name": "lon", "type": "f64" }]
                }
            ],
            "rest": "keep",
            "ports": [
                { "name": "late", "gives": [{ "name": "at", "type": "timestamp" }], "later": 1 },
                { "name": "odd", "rest": "keep" }
            ]
        }"#;
        let read = Description::read(text.as_bytes()).unwrap();
        let shape = read.shape.clone().unwrap();
        assert_eq!((shape.reads.fields().len(), shape.gives.fields().len(), shape.rest), (1, 4, Rest::Keep));
        assert!(shape.gives.fields()[1].nullable && !shape.gives.fields()[0].nullable);
        let outputs: Vec<(usize, Rest)> = shape.outputs().map(|(gives, rest)| (gives.fields().len(), rest)).collect();
        assert_eq!(outputs, [(4, Rest::Keep), (1, Rest::Drop), (0, Rest::Keep)]);
        let types: Vec<String> = shape.gives.fields()[2..].iter().map(|field| field.data_type.to_string()).collect();
        assert_eq!(types, ["list<string?>", "struct { lat: f64, lon: f64 }"]);
        let json = serde_json::to_string(&read).unwrap();
        assert_eq!(serde_json::from_str::<Description>(&json).unwrap(), read);

        let bytes = Description::read(br#"{"version":1}"#).unwrap();
        assert_eq!(bytes.shape, None);
        assert!(!serde_json::to_string(&bytes).unwrap().contains("shape"));
        let nothing_read = Description::read(br#"{"version":1,"reads":[]}"#).unwrap();
        assert_eq!(nothing_read.shape, Some(RecordShape::default()), "an operator of columns that reads none");
    }

    #[test]
    fn fields_that_cannot_be_used_are_an_error_with_the_reason() {
        let field = |name: &str, data_type: &str| format!(r#"{{"name":"{name}","type":"{data_type}"}}"#);
        let reads = |fields: &str| format!(r#"{{"version":1,"reads":[{fields}]}}"#);
        let place =
            |data_type: &str, members: &str| format!(r#"{{"name":"a","type":"{data_type}","fields":[{members}]}}"#);
        let many: Vec<String> = (0..=RecordShape::MOST_FIELDS).map(|i| field(&i.to_string(), "u8")).collect();
        let cases = [
            (reads(&field("a", "float")), "field `a` of `reads`: \"float\" is no type of a field"),
            (reads(&field("a", "decimal(4,5)")), "field `a` of `reads`: \"decimal(4,5)\": a decimal has"),
            (reads(&format!("{},{}", field("a", "s8"), field("a", "u8"))), "two fields of `reads` are called `a`"),
            (reads(&field("", "s8")), "the name of field 1 of `reads` cannot be used: it is empty"),
            (reads(&field(&"x".repeat(257), "s8")), "it has 257 bytes, at most 256 are read"),
            (reads(&field("a\\tb", "s8")), "it has control characters"),
            (reads(&field("a\\u001bb", "s8")), "a text in it has control characters"),
            (reads(&many.join(",")), "`reads` has 1001 fields, at most 1000 are read"),
            (reads(&field("a", "list<int>")), "field `a` of `reads`: \"int\" is no type of a field"),
            (reads(&field("a", "list<list<s8>>")), "field `a` of `reads`: \"list<list<s8>>\": the elements of a list"),
            (reads(&field("a", "struct")), "field `a` of `reads` cannot be a struct: a struct has at least one member"),
            (reads(&place("struct", &field("b", "s9"))), "field `a.b` of `reads`: \"s9\" is no type of a field"),
            (
                reads(&place("s8", &field("b", "s8"))),
                "field `a` of `reads` has `fields`, which go with the type struct",
            ),
            (reads(&place("struct", &place("struct", ""))), "field `a` of `reads` cannot be a struct: member `a`"),
            (reads(&place("struct", &field("b", "list<s8>"))), "field `a` of `reads` cannot be a struct: member `b`"),
            (reads(&place("struct", &[field("b", "s8"), field("b", "u8")].join(","))), "two members are called `b`"),
            (reads(&place("struct", &field("", "s8"))), "the name of field 1 of `reads` cannot be used: it is empty"),
            (reads(&place("struct", &many.join(","))), "`reads` has 1001 fields, at most 1000 are read"),
            (r#"{"version":1,"gives":[{"name":"a"}]}"#.to_owned(), "missing field `type`"),
            (
                r#"{"version":1,"gives":[],"ports":[{"name":"late","gives":[{"name":"a","type":"s9"}]}]}"#.to_owned(),
                "field `a` of `late`: \"s9\" is no type of a field",
            ),
            (r#"{"version":1,"ports":[]}"#.to_owned(), "`ports` go with `reads` or `gives`"),
            (
                format!(r#"{{"version":1,"gives":[],"ports":[{}]}}"#, [r#"{"name":"a"}"#; 33].join(",")),
                "`ports` has 33 side outputs, at most 32 are read",
            ),
            (r#"{"version":1,"rest":"keep"}"#.to_owned(), "`rest` goes with `reads` or `gives`"),
            (r#"{"version":1,"gives":[],"rest":"some"}"#.to_owned(), "unknown variant `some`"),
        ];
        for (text, reason) in cases {
            let error = Description::read(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
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
