//! The rules of the format, one case for each, and a comparison with serde_json on mutated records.

use std::sync::Arc;

use sage_batch::fields::{Cell, Table};

use super::{JsonReader, JsonWriter};
use crate::test_schema::schema;

/// The record as the writer prints it, or the error of the reader or the writer.
pub(super) fn through(fields: &[(&str, &str)], record: &[u8]) -> Result<String, String> {
    let schema = schema(fields);
    let mut table = Table::new(Arc::clone(&schema));
    let mut printed = Vec::new();
    let done = JsonReader::new(&schema)
        .read(record, &mut table)
        .and_then(|()| JsonWriter::new(&schema).write_row(&table, 0, &mut printed));
    match done {
        Ok(()) => Ok(String::from_utf8(printed).unwrap()),
        Err(error) => {
            assert!(table.fields().iter().all(|field| field.len() == table.len()));
            Err(error.to_string())
        }
    }
}

#[test]
fn a_value_is_read_exactly_or_refused() {
    // Type; value; the value as printed, or the beginning of the message.
    let cases: &[(&str, &str, Result<&str, &str>)] = &[
        ("bool", "true", Ok("true")),
        ("bool", "tru", Err("expected ident (line 1, column ")),
        ("bool", "1", Err("field \"x\" is a number, not bool (line 1, column 6)")),
        ("bool", "null", Err("field \"x\" is null (line 1, column 6)")),
        ("bool?", "null", Ok("null")),
        ("s8", "-128", Ok("-128")),
        ("s8", "128", Err("field \"x\" is 128, which is out of the range of s8 (line 1, column 6)")),
        ("s16", "-32769", Err("field \"x\" is -32769, which is out of the range of s16")),
        ("s32", "2147483648", Err("field \"x\" is 2147483648, which is out of the range of s32")),
        ("u8", "255", Ok("255")),
        ("u8", "-1", Err("field \"x\" is -1, which is out of the range of u8")),
        ("u16", "65536", Err("field \"x\" is 65536, which is out of the range of u16")),
        ("u32", "4294967295", Ok("4294967295")),
        ("s64", "9007199254740993", Ok("9007199254740993")),
        ("s64", "-9223372036854775808", Ok("-9223372036854775808")),
        ("s64", "9223372036854775808", Err("field \"x\" is 9223372036854775808, which is out of the range of s64")),
        ("s64", "-0", Ok("0")),
        ("s64", "1.0", Err("field \"x\" is \"1.0\", which is no s64: an integer, without point or exponent")),
        ("s64", "1e3", Err("field \"x\" is \"1e3\", which is no s64")),
        ("s64", "\"1\"", Err("field \"x\" is a string, not s64")),
        ("s64", "01", Err("invalid number (line 1, column 7)")),
        ("s64", "+1", Err("expected value")),
        ("u64", "18446744073709551615", Ok("18446744073709551615")),
        ("u64", "18446744073709551616", Err("field \"x\" is 18446744073709551616, which is out")),
        ("f64", "1", Ok("1.0")),
        ("f64", "-0.0", Ok("-0.0")),
        ("f64", "-0", Ok("-0.0")),
        ("f64", "0.1", Ok("0.1")),
        ("f64", "9007199254740993", Ok("9007199254740992.0")),
        ("f64", "2.2250738585072011e-308", Ok("2.225073858507201e-308")),
        ("f64", "1e400", Err("field \"x\" is 1e400, which is out of the range of f64")),
        ("f64", "NaN", Err("expected value")),
        ("f64", "1.", Err("invalid number")),
        ("f64", ".5", Err("expected value")),
        ("f64", "\"1\"", Err("field \"x\" is a string, not f64")),
        ("f64", "true", Err("field \"x\" is true, not f64")),
        ("f32", "16777217", Ok("16777216.0")),
        ("f32", "0.1", Ok("0.1")),
        ("f32", "1e39", Err("field \"x\" is 1e39, which is out of the range of f32")),
        ("decimal(4, 2)", "12.3", Ok("12.30")),
        ("decimal(4, 2)", "-0.05", Ok("-0.05")),
        ("decimal(4, 2)", "1.2300", Ok("1.23")),
        ("decimal(4, 2)", "1.234", Err("field \"x\" is \"1.234\", which is no decimal(4, 2): it must be exact")),
        ("decimal(4, 2)", "100", Err("field \"x\" is 100, which is out of the range of decimal(4, 2)")),
        ("timestamp", "\"2026-01-31T12:00:00.1234567+01:00\"", Ok("\"2026-01-31T11:00:00.123456Z\"")),
        (
            "timestamp",
            "\"2026-01-31T12:00:00\"",
            Err("field \"x\" is \"2026-01-31T12:00:00\", which is no timestamp: "),
        ),
        ("timestamp", "1", Err("field \"x\" is a number, not timestamp")),
        ("date", "\"2026-01-31\"", Ok("\"2026-01-31\"")),
        ("date", "\"2026\\u002d01-31\"", Ok("\"2026-01-31\"")),
        ("date", "\"2026-02-30\"", Err("field \"x\" is \"2026-02-30\", which is no date: a day of the calendar")),
        ("string", "\"\"", Ok("\"\"")),
        ("string", "\"a b, é ☃ 12345678\"", Ok("\"a b, é ☃ 12345678\"")),
        ("string", r#""\u00e9\n\t\"\\\/\ud83d\ude00\u0001""#, Ok(r#""é\n\t\"\\/😀\u0001""#)),
        ("string", r#""\ud800""#, Err("field \"x\" is no text: unexpected end of hex escape (line 1, column 6)")),
        ("string", r#""\q""#, Err("invalid escape")),
        ("string", "\"a\u{1}\"", Err("control character (\\u0000-\\u001F) found while parsing a string")),
        ("string", "\"a", Err("EOF while parsing a string")),
        ("string", "1", Err("field \"x\" is a number, not string")),
        ("bytes", "\"aGk=\"", Ok("\"aGk=\"")),
        ("bytes", "\"aGk\"", Err("field \"x\" is \"aGk\", which is no bytes: base64 with padding")),
        (
            "json",
            r#"{"a": [1, 2.50, {"b":null}] , "c":"\u00e9"}"#,
            Ok(r#"{"a": [1, 2.50, {"b":null}] , "c":"\u00e9"}"#),
        ),
        ("json", "[1,\n2]", Ok("[1, 2]")),
        ("json", "1e400", Ok("1e400")),
        ("json", "null", Err("field \"x\" is null")),
        ("json", "[1,]", Err("expected value")),
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
fn a_record_follows_the_rules_of_keys_and_of_unread_fields() {
    let fields = [("a", "s64"), ("é", "string?")];
    // Record; the record as printed, or the whole message.
    let cases: &[(&str, Result<&str, &str>)] = &[
        (r#"{"a":1,"é":"x"}"#, Ok(r#"{"a":1,"é":"x"}"#)),
        (r#"{"é":"x","a":1}"#, Ok(r#"{"a":1,"é":"x"}"#)),
        (" {\t\"a\" : 1 ,\r\n\"é\" : null } ", Ok(r#"{"a":1,"é":null}"#)),
        (r#"{"a":1}"#, Ok(r#"{"a":1,"é":null}"#)),
        ("{}", Err("field \"a\" is missing (line 1, column 3)")),
        ("{\n\"é\":null}", Err("field \"a\" is missing (line 2, column 11)")),
        (r#"{"\u0061":1,"\u00e9":"y"}"#, Ok(r#"{"a":1,"é":"y"}"#)),
        (r#"{"a":1,"a":1}"#, Err("field \"a\" stands twice in the record (line 1, column 12)")),
        (r#"{"a":1,"\u0061":1}"#, Err("field \"a\" stands twice in the record (line 1, column 17)")),
        (r#"{"b":1,"b":2,"a":1}"#, Ok(r#"{"a":1,"é":null}"#)),
        (r#"{"b":1e400,"a":1}"#, Ok(r#"{"a":1,"é":null}"#)),
        (r#"{"b":"\ud800","a":1}"#, Ok(r#"{"a":1,"é":null}"#)),
        (r#"{"b":{"a":[{},[],"]"]},"a":1}"#, Ok(r#"{"a":1,"é":null}"#)),
        (r#"{"b":[1,,2],"a":1}"#, Err("expected value (line 1, column 9)")),
        (r#"{"b":{"c"},"a":1}"#, Err("expected `:` (line 1, column 10)")),
        (r#"{"b":[1},"a":1}"#, Err("expected `,` or `]` (line 1, column 8)")),
        (r#"{"b":01,"a":1}"#, Err("invalid number (line 1, column 7)")),
        (r#"{"a":1,}"#, Err("trailing comma (line 1, column 8)")),
        (r#"{"a":1} x"#, Err("trailing characters (line 1, column 9)")),
        (r#"{"a":1"#, Err("EOF while parsing an object (line 1, column 6)")),
        ("{}x", Err("trailing characters (line 1, column 3)")),
        ("", Err("EOF while parsing a value (line 1, column 0)")),
        ("[1]", Err("invalid type: sequence, expected an object with the fields of the record (line 1, column 0)")),
    ];
    for (record, expected) in cases {
        let found = through(&fields, record.as_bytes());
        assert_eq!(found.as_deref().map_err(String::as_str), *expected, "{record}");
    }
    let error = through(&fields, b"{\"b\":\"\xff\",\"a\":1}").unwrap_err();
    assert_eq!(error, "invalid UTF-8 (line 1, column 7)");
}

#[test]
fn a_read_value_is_nested_as_deep_as_serde_json_reads_and_others_without_end() {
    let record = |levels: usize| format!("{{\"x\":{}{},\"a\":1}}", "[".repeat(levels), "]".repeat(levels));
    for levels in [1, 126, 127, 128, 100_000] {
        let text = record(levels);
        assert_eq!(through(&[("a", "s64")], text.as_bytes()).unwrap(), "{\"a\":1}");
        let read = through(&[("x", "json")], text.as_bytes());
        assert_eq!(read.is_ok(), serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{levels}");
        assert!(read.is_ok() || read.unwrap_err().starts_with("field \"x\" is nested deeper than 127 levels"));
    }
}

#[test]
fn a_number_that_json_does_not_have_is_never_printed() {
    let schema = schema(&[("a", "f64"), ("b", "f32?"), ("c", "timestamp?"), ("d", "json?")]);
    let mut writer = JsonWriter::new(&schema);
    let mut printed = b"before".to_vec();
    let mut message = |a: f64, b: Option<f32>, c: Option<i64>, d: Option<&str>| {
        let mut table = Table::new(Arc::clone(&schema));
        table.field_mut(0).unwrap().push_f64(a);
        let column = table.field_mut(1).unwrap();
        match b {
            Some(b) => column.push_f32(b),
            None => column.push_null(),
        }
        let column = table.field_mut(2).unwrap();
        match c {
            Some(c) => column.push_s64(c),
            None => column.push_null(),
        }
        let column = table.field_mut(3).unwrap();
        match d {
            Some(d) => column.push_str(d),
            None => column.push_null(),
        }
        assert!(table.finish_row());
        let error = writer.write_row(&table, 0, &mut printed).unwrap_err().to_string();
        assert_eq!(printed, b"before");
        error
    };
    assert_eq!(message(f64::NAN, None, None, None), "field \"a\" is NaN, which JSON cannot express");
    assert_eq!(message(f64::NEG_INFINITY, None, None, None), "field \"a\" is -inf, which JSON cannot express");
    assert_eq!(message(0.5, Some(f32::INFINITY), None, None), "field \"b\" is inf, which JSON cannot express");
    let year = "field \"c\" is a timestamp outside the years 0000 to 9999";
    assert_eq!(message(0.5, None, Some(i64::MAX), None), year);
    assert_eq!(message(0.5, None, None, Some("} {")), "field \"d\" is not JSON");
    assert_eq!(message(0.5, None, None, Some("1 2")), "field \"d\" is not JSON");
}

#[test]
fn a_refused_record_leaves_the_rows_before_it() {
    let schema = schema(&[("a", "s64?"), ("b", "string")]);
    let (mut reader, mut table) = (JsonReader::new(&schema), Table::new(Arc::clone(&schema)));
    reader.read(br#"{"a":1,"b":"x"}"#, &mut table).unwrap();
    for record in ["{\"b\":\"y\",\"a\":1.5}", "{\"a\":null}", "{\"b\":\"z\"", "{\"b\":\"z\",\"b\":\"z\"}"] {
        reader.read(record.as_bytes(), &mut table).unwrap_err();
        assert_eq!(table.len(), 1);
        assert!(table.fields().iter().all(|field| field.len() == 1 && field.validity().is_none()), "{record}");
    }
    reader.read(br#"{"b":"y"}"#, &mut table).unwrap();
    assert_eq!((table.cell(0, 0), table.cell(0, 1)), (Some(Cell::Signed(1)), Some(Cell::Null)));
    assert!(reader.read(b"{}", &mut Table::default()).is_err(), "a table of another schema");
}

#[test]
fn keys_may_change_their_order_from_record_to_record() {
    let schema = schema(&[("a", "s64?"), ("ab", "s64?")]);
    let mut reader = JsonReader::new(&schema);
    let long = format!("{{\"{}\":1,\"a\":2}}", "k".repeat(1000));
    // Records in their order, with the values of both fields.
    let cases: [(&str, [Option<i64>; 2]); 10] = [
        (r#"{"a":1,"ab":2}"#, [Some(1), Some(2)]),
        (r#"{"ab":1,"a":2}"#, [Some(2), Some(1)]),
        (r#"{"ab":1,"b":2}"#, [None, Some(1)]),
        (r#"{"ab" :1,"a":  2}"#, [Some(2), Some(1)]),
        (r#"{"\u0061":1,"a\u0062":2}"#, [Some(1), Some(2)]),
        (r#"{"x":1,"ab":2,"a":3}"#, [Some(3), Some(2)]),
        (&long, [Some(2), None]),
        (r#"{}"#, [None, None]),
        (r#"{"a":7}"#, [Some(7), None]),
        (r#"{"a":1,"ab":2}"#, [Some(1), Some(2)]),
    ];
    // Again and again, until nothing is learnt any more.
    for (record, expected) in cases.iter().cycle().take(20_000) {
        let mut table = Table::new(Arc::clone(&schema));
        reader.read(record.as_bytes(), &mut table).unwrap();
        let found = [0, 1].map(|field| match table.cell(field, 0) {
            Some(Cell::Signed(value)) => Some(value),
            _ => None,
        });
        assert_eq!(found, *expected, "{record}");
        reader.read(br#"{"a":1,"a":1}"#, &mut table).unwrap_err();
    }
}

/// A record with both fields, as serde_json reads it.
#[derive(Debug, serde::Deserialize)]
struct Reading {
    sensor: String,
    fahrenheit: f64,
    count: Option<i64>,
}

/// Numbers without a pattern (xorshift), the same in each run.
pub(super) struct Numbers(pub(super) u64);

impl Numbers {
    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end).unwrap()).unwrap()
    }
}

/// A record with up to three changes.
fn mutated(numbers: &mut Numbers) -> Vec<u8> {
    let float = match numbers.below(4) {
        0 => format!("{:e}", f64::from_bits(numbers.next())),
        1 => format!("{}", f64::from_bits(numbers.next() >> 4 | 1 << 61)),
        2 => format!("{}.{}", numbers.below(1 << 32), numbers.below(1_000_000_000)),
        _ => format!("{}.{}", numbers.below(200), numbers.below(100)),
    };
    let mut record = format!(
        r#"{{"sensor":"sensor-{}","site":"north \"hall\"","fahrenheit":{float},"tags":["a",{{"b":[]}}],"count":{}}}"#,
        numbers.below(5000),
        numbers.next().cast_signed(),
    )
    .into_bytes();
    change(&mut record, numbers);
    record
}

/// Makes up to three changes.
pub(super) fn change(record: &mut Vec<u8>, numbers: &mut Numbers) {
    const PARTS: [&[u8]; 35] = [
        b"\\u00e9",
        b"\\n",
        b"1e400",
        b"-0.0",
        b"null",
        b"true",
        b"[1,2]",
        b"{\"a\":1}",
        b" ",
        b"\t",
        b"\n",
        b"12345678901234567890",
        b"9007199254740993",
        b"0.1234567890123456789",
        b"1E-7",
        b"01",
        b"+1",
        b"1.",
        b".5",
        b"\"",
        b"\\",
        b",",
        b":",
        b"}",
        b"{",
        b"[",
        b"]",
        b"\"sensor\":\"x\",",
        b"\"fahrenheit\":1,",
        b"\"x\":",
        b"\xff",
        b"\x01",
        "é".as_bytes(),
        b"NaN",
        b"\\ud800",
    ];
    for _ in 0..numbers.below(4) {
        let at = numbers.below(record.len());
        let part = PARTS[numbers.below(PARTS.len())];
        match numbers.below(4) {
            0 => record[at] = numbers.next().to_le_bytes()[0],
            1 => drop(record.remove(at)),
            2 => drop(record.splice(at..at, part.iter().copied())),
            _ => {
                let end = (at + numbers.below(6)).min(record.len());
                drop(record.splice(at..end, part.iter().copied()));
            }
        }
        record.push(b' ');
    }
}

#[test]
fn mutated_records_are_read_and_refused_as_by_serde_json() {
    let schema = schema(&[("sensor", "string"), ("fahrenheit", "f64"), ("count", "s64?")]);
    let (mut reader, mut table) = (JsonReader::new(&schema), Table::new(Arc::clone(&schema)));
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let (mut accepted, mut refused) = (0, 0);
    for _ in 0..100_000 {
        let record = mutated(&mut numbers);
        let shown = String::from_utf8_lossy(&record);
        table.clear();
        let found = reader.read(&record, &mut table);
        // serde_json does not look at the bytes of strings that it skips.
        let expected = str::from_utf8(&record)
            .map_err(|_| None)
            .and_then(|text| serde_json::from_str::<Reading>(text).map_err(Some));
        match (found, expected) {
            (Ok(()), Ok(expected)) => {
                accepted += 1;
                let count = expected.count.map_or(Cell::Null, Cell::Signed);
                assert_eq!(table.cell(0, 0), Some(Cell::Bytes(expected.sensor.as_bytes())), "{shown}");
                let Some(Cell::F64(float)) = table.cell(1, 0) else { panic!("{shown}") };
                assert_eq!(float.to_bits(), expected.fahrenheit.to_bits(), "{shown}");
                assert_eq!(table.cell(2, 0), Some(count), "{shown}");
            }
            (Err(error), Err(_)) => {
                refused += 1;
                assert!(!error.to_string().contains('\n') && table.is_empty(), "{error:?}");
            }
            // To serde_json `-0` is a float.
            (Ok(()), Err(_)) if shown.contains("\"count\":-0") => {}
            (found, expected) => panic!("{found:?}, serde_json {expected:?}: {shown}"),
        }
    }
    assert!(accepted > 10_000 && refused > 10_000, "{accepted} accepted, {refused} refused");
}
