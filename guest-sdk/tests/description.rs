//! The descriptions of operators.
#![allow(missing_docs, dead_code)]

use std::collections::BTreeMap;

use sage_guest::state::{Tables, Value};
use sage_guest::{Context, Describe, Emitter, Error, Progress, testing};
use serde::Deserialize;
use serde_json::json;

/// Settings of a cutter.
///
/// Two "paragraphs".
#[derive(Deserialize, Describe)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Settings {
    /// Delimiter of the fields.
    field_delimiter: char,
    /// Index of the field.
    #[serde(default)]
    field: u32,
    limit: Option<f64>,
    mode: Mode,
    #[serde(alias = "name")]
    names: Vec<String>,
    by_name: BTreeMap<String, Inner>,
    #[serde(skip)]
    derived: u8,
    #[serde(deserialize_with = "odd")]
    odd: u8,
    #[serde(rename = "TYPE")]
    r#type: bool,
}

#[derive(Deserialize, Describe, Default)]
#[serde(default)]
struct Inner {
    signed: i8,
}

#[derive(Deserialize, Describe)]
#[serde(rename_all = "snake_case")]
enum Mode {
    Fast,
    #[serde(rename = "exact!")]
    Exact,
    #[serde(skip)]
    Hidden,
}

#[derive(Deserialize, Describe)]
#[serde(try_from = "String")]
struct Delimiter(Vec<u8>);

impl TryFrom<String> for Delimiter {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text.is_empty() { Err("a delimiter has at least one character") } else { Ok(Self(text.into_bytes())) }
    }
}

fn odd<'de, D: serde::Deserializer<'de>>(from: D) -> Result<u8, D::Error> {
    u8::deserialize(from)
}

/// Cuts records.
#[sage_guest::map]
fn cut<'a>(record: &'a [u8], _: &Settings) -> &'a [u8] {
    record
}

#[sage_guest::filter]
fn plain(record: &[u8]) -> bool {
    !record.is_empty()
}

struct Opaque {
    prefix: String,
}

#[sage_guest::map]
fn opaque<'a>(record: &'a [u8], _: &'a Undescribed) -> &'a [u8] {
    record
}

#[derive(Deserialize)]
struct Undescribed {}

#[sage_guest::flat_map]
fn delimited<'a>(record: &'a [u8], _: &Delimiter) -> Option<&'a [u8]> {
    Some(record)
}

struct Counts {
    seen: Value<u64>,
}

/// Counts records.
#[sage_guest::process(config = Settings, ports = ["late"])]
impl Counts {
    fn open(_: &Context, tables: &mut Tables) -> Result<Self, Error> {
        Ok(Self { seen: tables.value("seen")? })
    }

    fn process(&mut self, _: &[u8], _: &mut Emitter) -> Result<(), Error> {
        Ok(())
    }
}

struct Passes;

#[sage_guest::process(stateless)]
impl Passes {
    fn open(_: &Context) -> Self {
        Self
    }

    fn process(&mut self, record: &[u8], out: &mut Emitter) -> Result<(), Error> {
        out.emit(record)
    }
}

#[derive(Default)]
struct Nothing;

#[sage_guest::source]
impl Nothing {
    fn next(&mut self, _: &mut Emitter) -> Progress {
        Progress::End
    }
}

#[test]
fn settings_are_described_as_serde_reads_them() {
    let settings = json!({
        "description": "Settings of a cutter.\n\nTwo \"paragraphs\".",
        "type": "object",
        "properties": {
            "field-delimiter": {
                "description": "Delimiter of the fields.", "type": "string", "minLength": 1, "maxLength": 1
            },
            "field": { "description": "Index of the field.", "type": "integer", "minimum": 0, "maximum": u32::MAX },
            "limit": { "anyOf": [{ "type": "number" }, { "type": "null" }] },
            "mode": { "enum": ["fast", "exact!"] },
            "names": { "type": "array", "items": { "type": "string" } },
            "name": { "type": "array", "items": { "type": "string" } },
            "by-name": {
                "type": "object",
                "additionalProperties": {
                    "type": "object",
                    "properties": { "signed": { "type": "integer", "minimum": -128, "maximum": 127 } },
                    "required": [],
                    "additionalProperties": true
                }
            },
            "odd": {},
            "TYPE": { "type": "boolean" }
        },
        "required": ["field-delimiter", "mode", "by-name", "odd", "TYPE"],
        "additionalProperties": false
    });
    let cut = testing::description::<cut>();
    assert_eq!(cut, json!({ "version": 1, "docs": "Cuts records.", "state": "none", "config": settings }));
    let counts = testing::description::<Counts>();
    assert_eq!(counts, json!({ "version": 1, "docs": "Counts records.", "state": "keyed", "config": settings }));
}

#[test]
fn what_reads_no_configuration_takes_none() {
    let nothing = json!({ "type": "object", "properties": {}, "required": [], "additionalProperties": false });
    for description in [testing::description::<plain>(), testing::description::<Nothing>()] {
        assert_eq!(description, json!({ "version": 1, "docs": "", "state": "none", "config": nothing }));
    }
}

#[test]
fn what_nobody_described_is_left_out() {
    for description in [testing::description::<opaque>(), testing::description::<Passes>()] {
        assert_eq!(description, json!({ "version": 1, "docs": "", "state": "none" }));
    }
}

#[test]
fn a_type_that_is_read_from_another_is_described_as_that_one() {
    assert_eq!(testing::description::<delimited>()["config"], json!({ "type": "string" }));
}
