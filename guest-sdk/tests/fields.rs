//! Operators that take records by field, as a host runs them.
#![allow(missing_docs)]

use sage_guest::fields::{Date, Decimal, Timestamp};
use sage_guest::{Context, Describe, Error, Record, testing};
use serde_json::{Value, json};

/// A reading.
#[derive(Record)]
struct Reading<'a> {
    /// Name of the sensor.
    sensor: &'a str,
    fahrenheit: f64,
    at: Option<Timestamp>,
}

#[derive(Record)]
struct Celsius<'a> {
    sensor: &'a str,
    #[record(rename = "Temp (C)")]
    celsius: f64,
    at: Option<Timestamp>,
}

#[sage_guest::map]
fn celsius(r: Reading) -> Result<Celsius, Error> {
    if r.fahrenheit < -459.67 {
        return Err("below absolute zero".into());
    }
    Ok(Celsius { sensor: r.sensor, celsius: (r.fahrenheit - 32.0) / 1.8, at: r.at })
}

#[test]
fn the_description_has_the_fields() {
    assert_eq!(
        testing::description::<celsius>(),
        json!({
            "version": 1,
            "docs": "",
            "state": "none",
            "config": { "type": "object", "properties": {}, "required": [], "additionalProperties": false },
            "reads": [
                { "name": "sensor", "type": "string", "nullable": false, "docs": "Name of the sensor." },
                { "name": "fahrenheit", "type": "f64", "nullable": false, "docs": "" },
                { "name": "at", "type": "timestamp", "nullable": true, "docs": "" }
            ],
            "gives": [
                { "name": "sensor", "type": "string", "nullable": false, "docs": "" },
                { "name": "Temp (C)", "type": "f64", "nullable": false, "docs": "" },
                { "name": "at", "type": "timestamp", "nullable": true, "docs": "" }
            ],
            "rest": "drop"
        })
    );
    let hot = testing::description::<hot>();
    assert_eq!((&hot["gives"], &hot["rest"]), (&json!([]), &json!("keep")));
}

#[test]
fn a_map_replaces_the_record_and_rejects() {
    let mut lane = testing::FieldsMap::<celsius>::open(json!({})).unwrap();
    let outcome = lane.run([
        r#"{"sensor":"roof","fahrenheit":212,"other":1}"#,
        r#"{"sensor":"roof"}"#,
        r#"{"sensor":"roof","fahrenheit":-999.9}"#,
        r#"{"fahrenheit":32,"at":"2013-01-01T01:00:00.5+01:00","sensor":"k\u00e4se"}"#,
        r#"{"sensor":7,"fahrenheit":1}"#,
        "no record",
    ]);
    assert_eq!(
        outcome.texts(),
        [
            r#"{"sensor":"roof","Temp (C)":100.0,"at":null}"#,
            r#"{"sensor":"käse","Temp (C)":0.0,"at":"2013-01-01T00:00:00.500Z"}"#,
        ]
    );
    assert_eq!(outcome.outputs[1].parent, Some(3));
    let rejected: Vec<usize> = outcome.failures.iter().map(|failure| failure.record).collect();
    assert_eq!(rejected, [1, 2, 4, 5]);
    assert_eq!(
        outcome.messages()[..3],
        [r#"field "fahrenheit" is missing"#, "below absolute zero", r#"field "sensor" is a number, not string"#]
    );
}

#[test]
fn records_are_values_too() {
    let at = Some(Timestamp(0));
    let mut lane = testing::FieldsMap::<celsius>::open(json!({})).unwrap();
    let outcome = lane.run_records([Reading { sensor: "roof", fahrenheit: 50.0, at }]);
    assert_eq!(outcome.texts(), [r#"{"sensor":"roof","Temp (C)":10.0,"at":"1970-01-01T00:00:00Z"}"#]);
}

/// Settings.
#[derive(serde::Deserialize, Describe)]
struct Settings {
    above: f64,
}

#[sage_guest::filter]
fn hot(reading: Reading, settings: &Settings) -> bool {
    reading.at.is_some() && reading.fahrenheit > settings.above
}

#[test]
fn a_filter_keeps_whole_records_in_batches_of_any_length() {
    let mut lane = testing::FieldsFilter::<hot>::open(json!({ "above": 20.0 })).unwrap();
    for rows in [0, 1, 7, 8, 9, 31, 32, 33, 63, 64, 100] {
        for nulls in [1, 2, 40] {
            let at =
                |row: usize| if row % nulls == nulls - 1 && nulls > 1 { "null" } else { r#""1970-01-01T00:00:00Z""# };
            let records: Vec<String> = (0..rows)
                .map(|row| format!(r#"{{"row":{row},"fahrenheit":{row},"sensor":"s","at":{}}}"#, at(row)))
                .collect();
            let stays = |row: &usize| *row > 20 && at(*row) != "null";
            let wanted: Vec<String> = (0..rows).filter(stays).map(|row| records[row].clone()).collect();
            assert_eq!(lane.run(&records).texts(), wanted, "{rows} rows, a null in {nulls}");
        }
    }
}

/// Every type of field.
#[derive(Record)]
#[record(extends)]
struct All<'a> {
    yes: bool,
    small: i8,
    tiny: u8,
    short: i16,
    wide: u16,
    int: i32,
    uint: u32,
    long: i64,
    ulong: u64,
    single: f32,
    double: f64,
    at: Timestamp,
    day: Date,
    price: Decimal<18, 4>,
    text: &'a str,
    owned: String,
    #[record(json)]
    tags: &'a str,
    r#type: Option<bool>,
    maybe: Option<Decimal<4, 0>>,
    words: Option<String>,
    #[record(json)]
    deep: Option<&'a str>,
}

#[sage_guest::map]
fn everything(all: All<'_>) -> All<'_> {
    all
}

#[test]
fn every_type_comes_back_as_it_went() {
    let record = json!({
        "other": [1], "yes": true, "small": -128, "tiny": 255, "short": -32768, "wide": 65535, "int": i32::MIN,
        "uint": u32::MAX, "long": i64::MIN, "ulong": u64::MAX, "single": 0.1, "double": -0.0,
        "at": "1969-12-31T23:59:59.999999Z", "day": "2013-01-31", "price": -12.3401, "text": "käse", "owned": "",
        "tags": [{ "a": 1 }], "type": false, "maybe": 12, "words": "two words", "deep": { "b": null }
    });
    let mut nulls = record.clone();
    for field in ["type", "maybe", "words", "deep"] {
        nulls[field] = Value::Null;
    }
    let mut lane = testing::FieldsMap::<everything>::open(json!({})).unwrap();
    for rows in [1, 8, 32, 45] {
        for null in [1, 2, 9, 100] {
            let records: Vec<String> =
                (0..rows).map(|row| if row % null == 0 { nulls.to_string() } else { record.to_string() }).collect();
            let outcome = lane.run(&records);
            assert_eq!(outcome.messages(), [""; 0]);
            assert_eq!(outcome.texts(), records);
        }
    }
    let types = testing::description::<everything>();
    let types: Vec<&str> =
        types["gives"].as_array().unwrap().iter().map(|field| field["type"].as_str().unwrap()).collect();
    assert_eq!(types[13..], ["decimal(18, 4)", "string", "string", "json", "bool", "decimal(4, 0)", "string", "json"]);
}

#[derive(Record)]
struct Line<'a> {
    text: &'a str,
}

#[derive(Record)]
#[record(extends)]
struct Word {
    kind: &'static str,
    word: String,
    long: bool,
    next: Option<u32>,
}

#[derive(Default)]
struct Words {
    seen: u32,
}

#[sage_guest::flat_map]
impl Words {
    fn flat_map(&mut self, line: Line<'_>) -> Result<Vec<Word>, Error> {
        if line.text.len() > 100 {
            return Err("a long line".into());
        }
        let words = line.text.split(' ').map(|word| {
            self.seen += 1;
            let next = self.seen.is_multiple_of(3).then_some(self.seen);
            Word { kind: "word", word: word.to_uppercase(), long: word.len() > 3, next }
        });
        Ok(words.collect())
    }
}

#[test]
fn a_flat_map_extends_its_parents() {
    let mut lane = testing::FieldsFlatMap::<Words>::open(json!({})).unwrap();
    let long = "a ".repeat(60);
    let outcome = lane.run([r#"{"id":1,"text":"one three"}"#.to_owned(), json!({ "text": long }).to_string(), {
        r#"{"id":2,"text":"x","word":"old"}"#.to_owned()
    }]);
    assert_eq!(
        outcome.texts(),
        [
            r#"{"id":1,"text":"one three","kind":"word","word":"ONE","long":false,"next":null}"#,
            r#"{"id":1,"text":"one three","kind":"word","word":"THREE","long":true,"next":null}"#,
            r#"{"id":2,"text":"x","word":"X","kind":"word","long":false,"next":3}"#,
        ]
    );
    assert_eq!(outcome.messages(), ["a long line"]);
    let many = "a b c d e f g h i j k l m n o p q r s t u v w x y z a b c d e f g h i j k l m n o p q r s";
    let lines: Vec<String> = (0..300).map(|_| json!({ "text": many }).to_string()).collect();
    let outcome = lane.run(&lines);
    assert_eq!(outcome.outputs.len(), 300 * 45);
    assert!(outcome.texts().iter().enumerate().all(|(at, text)| text.contains("null") != (at + 4).is_multiple_of(3)));
}

/// An output that borrows from the operator.
struct Named {
    prefix: String,
}

#[derive(Record)]
#[record(extends)]
struct Out<'a> {
    prefix: &'a str,
}

#[sage_guest::map]
impl Named {
    fn open(context: &Context) -> Result<Self, Error> {
        Ok(Self { prefix: context.operator.clone() })
    }

    fn map(&mut self, _: Line) -> Out<'_> {
        self.prefix.push('!');
        Out { prefix: &self.prefix }
    }
}

#[test]
fn an_output_may_borrow_from_the_operator() {
    let mut lane = testing::FieldsMap::<Named>::open(json!({})).unwrap();
    let outcome = lane.run([r#"{"text":"a"}"#, r#"{"text":"b"}"#]);
    assert_eq!(outcome.texts(), [r#"{"text":"a","prefix":"operator!"}"#, r#"{"text":"b","prefix":"operator!!"}"#]);
}

/// A payload type of the user's own.
struct Upper(String);

impl<'a> sage_guest::FromPayload<'a> for Upper {
    fn from_payload(payload: &'a [u8]) -> Result<Self, Error> {
        Ok(Self(<&str>::from_payload(payload)?.to_uppercase()))
    }
}

#[sage_guest::map(payload)]
fn upper(Upper(text): Upper) -> String {
    text
}

#[test]
fn the_word_payload_keeps_a_type_with_its_own_decoder() {
    assert_eq!(testing::Map::<upper>::open(json!({})).unwrap().run(["abc"]).texts(), ["ABC"]);
}
