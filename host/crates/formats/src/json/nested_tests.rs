//! The rules of the format within lists and structs, one case for each, and a comparison with serde_json.

use std::sync::Arc;

use sage_batch::fields::{Cell, FieldColumn, Table};

use super::JsonReader;
use super::read_tests::{Numbers, change, through};
use crate::json::JsonWriter;
use crate::test_schema::schema;

#[test]
fn a_list_or_a_struct_is_read_exactly_or_refused() {
    // Type; value; the value as printed, or the beginning of the message.
    let cases: &[(&str, &str, Result<&str, &str>)] = &[
        ("list<s64>", "[]", Ok("[]")),
        ("list<s64>", " [ 1 ,\t-2 ] ", Ok("[1,-2]")),
        ("list<s64>", "null", Err("field \"x\" is null (line 1, column 6)")),
        ("list<s64>?", "null", Ok("null")),
        ("list<s64>?", "[]", Ok("[]")),
        ("list<s64>", "[1,null]", Err("field \"x[1]\" is null (line 1, column 9)")),
        ("list<s64?>", "[1,null]", Ok("[1,null]")),
        ("list<s64>", "[1,2,3,4.0]", Err("field \"x[3]\" is \"4.0\", which is no s64: an integer")),
        ("list<s8>", "[127,128]", Err("field \"x[1]\" is 128, which is out of the range of s8 (line 1, column 11)")),
        ("list<f64>", "[1e400]", Err("field \"x[0]\" is 1e400, which is out of the range of f64")),
        ("list<f64>", "[9007199254740993,-0.0]", Ok("[9007199254740992.0,-0.0]")),
        ("list<s64>", "[9007199254740993]", Ok("[9007199254740993]")),
        ("list<s64>", "[[1]]", Err("field \"x[0]\" is an array, not s64")),
        ("list<string>", "\"a\"", Err("field \"x\" is a string, not list<string> (line 1, column 6)")),
        ("list<string>", "{}", Err("field \"x\" is an object, not list<string>")),
        ("list<string>", r#"["a\u00e9\n",""]"#, Ok(r#"["aé\n",""]"#)),
        ("list<string>", r#"["\ud800"]"#, Err("field \"x[0]\" is no text: unexpected end of hex escape")),
        ("list<bool>", "[true,false]", Ok("[true,false]")),
        ("list<date?>", "[\"2026-01-31\",null]", Ok("[\"2026-01-31\",null]")),
        ("list<decimal(4, 2)>", "[1.5,-0.05]", Ok("[1.50,-0.05]")),
        ("list<json>", "[ {\"a\": [1]}, 2 ]", Ok("[{\"a\": [1]},2]")),
        ("list<json>", "[null]", Err("field \"x[0]\" is null")),
        ("list<s64>", "[1,]", Err("expected value (line 1, column 9)")),
        ("list<s64>", "[1 2]", Err("expected `,` or `]`")),
        ("list<s64>", "[1", Err("expected `,` or `]`")),
        ("list<s64>", "[01]", Err("invalid number")),
        ("{a: f64, b: string?}", r#"{"a":1,"b":"x"}"#, Ok(r#"{"a":1.0,"b":"x"}"#)),
        ("{a: f64, b: string?}", r#" { "b" : null , "a" : 2 } "#, Ok(r#"{"a":2.0,"b":null}"#)),
        ("{a: f64, b: string?}", r#"{"c":[{}],"\u0061":1}"#, Ok(r#"{"a":1.0,"b":null}"#)),
        ("{a: f64}", "null", Err("field \"x\" is null (line 1, column 6)")),
        ("{a: f64}?", "null", Ok("null")),
        ("{a: f64}", "{}", Err("field \"x.a\" is missing (line 1, column 8)")),
        ("{a: f64}", r#"{"a":null}"#, Err("field \"x.a\" is null (line 1, column 11)")),
        ("{a: f64}", r#"{"a":"1"}"#, Err("field \"x.a\" is a string, not f64 (line 1, column 11)")),
        ("{a: u8}", r#"{"a":256}"#, Err("field \"x.a\" is 256, which is out of the range of u8")),
        ("{a: u8}", r#"{"a":1,"a":1}"#, Err("field \"x.a\" stands twice in the record (line 1, column 17)")),
        ("{a: u8}", r#"{"b":1,"b":1e400,"a":1,"c":"\ud800"}"#, Ok(r#"{"a":1}"#)),
        ("{a: u8}", "[1]", Err("field \"x\" is an array, not struct")),
        ("{a: u8}", "1", Err("field \"x\" is a number, not struct")),
        ("{a: u8}", r#"{"a":{}}"#, Err("field \"x.a\" is an object, not u8")),
        ("{a: json}", r#"{"a":{"a":[]}}"#, Ok(r#"{"a":{"a":[]}}"#)),
        ("{a: u8}", r#"{"a":1,}"#, Err("key must be a string")),
        ("{a: u8}", r#"{"a":1]"#, Err("expected `,` or `}`")),
        ("{a: u8}", r#"{"a" 1}"#, Err("expected `:`")),
        ("{a: u8}", r#"{"b":[1,,2],"a":1}"#, Err("expected value")),
    ];
    for (data_type, value, expected) in cases {
        let found = through(&[("x", data_type)], format!("{{\"x\":{value}}}").as_bytes());
        match (&found, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(*found, format!("{{\"x\":{expected}}}"), "{data_type} {value}"),
            (Err(found), Err(expected)) => assert!(found.starts_with(expected), "{data_type} {value}: {found}"),
            _ => panic!("{data_type} {value}: {found:?}"),
        }
    }
}

#[test]
fn a_json_value_inside_is_nested_as_deep_as_serde_json_reads() {
    for levels in [1, 124, 125, 126, 127, 128] {
        let inner = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        for (data_type, text, name) in [
            ("list<json>", format!("{{\"x\":[{inner}]}}"), "x[0]"),
            ("{a: json}", format!("{{\"x\":{{\"a\":{inner}}}}}"), "x.a"),
        ] {
            let read = through(&[("x", data_type)], text.as_bytes());
            assert_eq!(read.is_ok(), serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{levels}");
            let message = format!("field \"{name}\" is nested deeper than 127 levels");
            assert!(read.is_ok() || read.unwrap_err().starts_with(&message));
        }
    }
}

#[test]
fn a_value_inside_that_json_cannot_express_is_never_printed() {
    let schema = schema(&[("x", "list<f64?>"), ("y", "{at: timestamp, j: json}?")]);
    let mut table = Table::new(Arc::clone(&schema));
    let rows = [(f64::NAN, 0, "1"), (0.5, i64::MAX, "1"), (0.5, 0, "}"), (f64::INFINITY, i64::MIN, "")];
    for (x, at, json) in rows {
        let column = table.field_mut(0).unwrap();
        column.elements_mut().unwrap().push_null();
        column.elements_mut().unwrap().push_f64(x);
        column.end_list();
        let column = table.field_mut(1).unwrap();
        column.member_mut(0).unwrap().push_s64(at);
        column.member_mut(1).unwrap().push_str(json);
        column.end_struct();
        assert!(table.finish_row());
    }
    let mut writer = JsonWriter::new(&schema);
    let messages = [
        "field \"x[1]\" is NaN, which JSON cannot express",
        "field \"y.at\" is a timestamp outside the years 0000 to 9999",
        "field \"y.j\" is not JSON",
        "field \"x[1]\" is inf, which JSON cannot express",
    ];
    let mut printed = b"before".to_vec();
    for (row, message) in messages.iter().enumerate() {
        assert_eq!(writer.write_row(&table, row, &mut printed).unwrap_err().to_string(), *message);
        assert_eq!(printed, b"before");
    }
    printed.clear();
    writer.write_row_anyhow(&table, 3, &mut printed);
    let expected = r#"{"x":[null,"inf"],"y":{"at":"-9223372036854775808","j":""}}"#;
    assert_eq!(String::from_utf8(printed).unwrap(), expected);
}

#[test]
fn a_refused_value_inside_leaves_the_rows_before_it() {
    let schema = schema(&[("a", "list<s64?>"), ("b", "{c: s64?, d: string?}")]);
    let (mut reader, mut table) = (JsonReader::new(&schema), Table::new(Arc::clone(&schema)));
    reader.read(br#"{"a":[1],"b":{"c":1,"d":"x"}}"#, &mut table).unwrap();
    for record in [
        r#"{"a":[2,3,null,"x"],"b":{}}"#,
        r#"{"a":[2,3],"b":{"c":2,"d":1}}"#,
        r#"{"a":[2,3],"b":{"c":2,"c":2}}"#,
        r#"{"b":{"c":null},"a":[2,3]"#,
        r#"{"b":{"c":null}}"#,
    ] {
        reader.read(record.as_bytes(), &mut table).unwrap_err();
        assert_eq!(table.len(), 1);
        let inside = table.fields().iter().flat_map(FieldColumn::inside);
        assert!(table.fields().iter().chain(inside).all(|column| column.len() == 1 && column.validity().is_none()));
    }
    reader.read(br#"{"a":[],"b":{}}"#, &mut table).unwrap();
    assert_eq!(table.cell(0, 1), Some(Cell::List { start: 1, end: 1 }));
    assert_eq!(table.fields()[1].inside()[0].cell(1), Some(Cell::Null));
}

/// A record with both fields, as serde_json reads it.
#[derive(Debug, serde::Deserialize)]
struct Shipment {
    tags: Option<Vec<Option<String>>>,
    place: Place,
}

#[derive(Debug, serde::Deserialize)]
struct Place {
    lat: f64,
    lon: Option<f64>,
}

#[test]
fn mutated_records_with_lists_and_structs_are_read_and_refused_as_by_serde_json() {
    let schema = schema(&[("tags", "list<string?>?"), ("place", "{lat: f64, lon: f64?}")]);
    let (mut reader, mut table) = (JsonReader::new(&schema), Table::new(Arc::clone(&schema)));
    let mut numbers = Numbers(0x2545_f491_4f6c_dd1d);
    let (mut accepted, mut refused) = (0, 0);
    for _ in 0..100_000 {
        let tags = ["[]", "null", r#"["a","\u00e9"]"#, r#"["a",null,""]"#][numbers.below(4)];
        let (lat, lon) = (numbers.below(180), numbers.next() as f64 / 1e18);
        let mut record =
            format!(r#"{{"tags":{tags},"more":{{"lat":[]}},"place":{{"lat":{lat},"name":{{}},"lon":{lon}}}}}"#)
                .into_bytes();
        change(&mut record, &mut numbers);
        let shown = String::from_utf8_lossy(&record);
        table.clear();
        let found = reader.read(&record, &mut table);
        let expected = str::from_utf8(&record)
            .map_err(|_| None)
            .and_then(|text| serde_json::from_str::<Shipment>(text).map_err(Some));
        match (found, expected) {
            (Ok(()), Ok(expected)) => {
                accepted += 1;
                let (tags, place) = (&table.fields()[0], table.fields()[1].inside());
                let found = match tags.cell(0) {
                    Some(Cell::List { start, end }) => {
                        Some((start..end).map(|at| text(&tags.inside()[0], at)).collect())
                    }
                    _ => None,
                };
                assert_eq!(found, expected.tags, "{shown}");
                assert_eq!(place[0].cell(0), Some(Cell::F64(expected.place.lat)), "{shown}");
                assert_eq!(place[1].cell(0), Some(expected.place.lon.map_or(Cell::Null, Cell::F64)), "{shown}");
            }
            (Err(error), Err(_)) => {
                refused += 1;
                assert!(!error.to_string().contains('\n') && table.is_empty(), "{error:?}");
            }
            // serde_json reads an array as a struct, by the places of its values.
            (Err(error), Ok(_)) if error.to_string().contains("is an array, not struct") => {}
            (found, expected) => panic!("{found:?}, serde_json {expected:?}: {shown}"),
        }
    }
    assert!(accepted > 10_000 && refused > 10_000, "{accepted} accepted, {refused} refused");
}

fn text(column: &FieldColumn, row: usize) -> Option<String> {
    match column.cell(row) {
        Some(Cell::Bytes(text)) => Some(String::from_utf8(text.to_vec()).unwrap()),
        _ => None,
    }
}
