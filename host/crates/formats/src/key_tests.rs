use serde_json::Value;

use super::*;
use crate::json::JsonReader;
use crate::test_schema::schema;

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../../../wit/keys.json")).unwrap()
}

fn bytes(hex: &Value) -> Vec<u8> {
    let hex = hex.as_str().unwrap();
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// The key of a record with these fields, each a type and a value in JSON.
fn key(fields: &[(&str, &str)], composite: bool, null_key: Option<&str>) -> Result<Vec<u8>, KeyError> {
    let names: Vec<String> = (0..fields.len()).map(|at| format!("f{at}")).collect();
    let types: Vec<(&str, &str)> =
        names.iter().zip(fields).map(|(name, (data_type, _))| (name.as_str(), *data_type)).collect();
    let record: Vec<String> = names.iter().zip(fields).map(|(name, (_, json))| format!("\"{name}\":{json}")).collect();
    let schema = schema(&types);
    let mut table = Table::new(Arc::clone(&schema));
    JsonReader::new(&schema).read(format!("{{{}}}", record.join(",")).as_bytes(), &mut table).unwrap();
    let mut key = b"before".to_vec();
    let written = KeyWriter::new(names, composite, null_key.map(str::to_owned)).write(&table, 0, &mut key);
    let rest = key.strip_prefix(b"before").unwrap().to_vec();
    assert!(written.is_ok() || rest.is_empty(), "a record without a key leaves nothing");
    written.map(|()| rest)
}

#[test]
fn the_key_of_a_field_is_that_of_the_contract() {
    for vector in vectors()["fields"].as_array().unwrap() {
        let field = (vector["type"].as_str().unwrap(), vector["json"].as_str().unwrap());
        let found = key(&[field], false, vector["null_key"].as_str());
        assert_eq!(found, Ok(bytes(&vector["key"])), "{vector}");
    }
}

#[test]
fn a_value_that_is_no_key_is_refused_with_the_field_and_the_reason() {
    for vector in vectors()["refused"].as_array().unwrap() {
        let field = (vector["type"].as_str().unwrap(), vector["json"].as_str().unwrap());
        for composite in [false, true] {
            let error = key(&[("string", "\"a\""), field][usize::from(!composite)..], composite, None);
            assert!(error.is_err(), "{vector}");
        }
    }
    let words = |data_type, json| key(&[(data_type, json)], false, None).unwrap_err().to_string();
    assert_eq!(words("json?", "null"), "field \"f0\" of the key is null, and the input has no null_key");
    assert_eq!(words("s64?", "null"), "field \"f0\" of the key is null, and the input has no null_key");
    assert_eq!(words("json", "[1]"), "field \"f0\" of the key is an array, which is no key");
    assert_eq!(words("json", "{}"), "field \"f0\" of the key is an object, which is no key");
    assert_eq!(
        words("json", "1.0"),
        "field \"f0\" of the key is a number with a point or an exponent, which is no key"
    );
    assert_eq!(words("f64", "1.0"), "field \"f0\" of the key is a number with a fraction, which is no key");
}

#[test]
fn a_composite_key_is_that_of_the_contract() {
    for vector in vectors()["composite"].as_array().unwrap() {
        let parts: Vec<String> = vector["parts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|part| format!("\"{}\"", base64::Engine::encode(&base64::prelude::BASE64_STANDARD, bytes(part))))
            .collect();
        let fields: Vec<(&str, &str)> = parts.iter().map(|part| ("bytes", part.as_str())).collect();
        assert_eq!(key(&fields, true, None), Ok(bytes(&vector["key"])), "{vector}");
    }
    let mixed = [("string", "\"north\""), ("s64?", "null"), ("bool", "true")];
    assert_eq!(key(&mixed, true, Some("-")).unwrap(), b"\x05\0\0\0north\x01\0\0\0-\x04\0\0\0true");
}

#[test]
fn two_schemas_in_turn_have_the_keys_of_each() {
    let (one, other) = (schema(&[("k", "string")]), schema(&[("x", "u8"), ("k", "s64")]));
    let (mut text, mut number) = (Table::new(Arc::clone(&one)), Table::new(Arc::clone(&other)));
    JsonReader::new(&one).read(br#"{"k":"a"}"#, &mut text).unwrap();
    JsonReader::new(&other).read(br#"{"k":7,"x":1}"#, &mut number).unwrap();
    let mut writer = KeyWriter::new(vec!["k".to_owned()], false, None);
    for _ in 0..2 {
        for (table, expected) in [(&text, "a"), (&number, "7")] {
            let mut key = Vec::new();
            writer.write(table, 0, &mut key).unwrap();
            assert_eq!(key, expected.as_bytes());
        }
    }
    let missing = KeyWriter::new(vec!["y".to_owned()], false, None).write(&text, 0, &mut Vec::new());
    assert_eq!(missing.unwrap_err().to_string(), "field \"y\" of the key is missing");
}
