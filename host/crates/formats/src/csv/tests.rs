use std::sync::Arc;

use sage_batch::fields::Table;

use super::{CsvCells, CsvForm, CsvWriter};
use crate::OutputField;
use crate::test_schema::schema;

#[test]
fn a_cell_is_read_exactly_or_refused() {
    // Type; cell; the cell as printed, or the beginning of the message.
    let cases: &[(&str, &str, Result<&str, &str>)] = &[
        ("bool", "true", Ok("true")),
        ("bool", "True", Err("field \"x\" is \"True\", which is no bool: true or false")),
        ("s64", "9007199254740993", Ok("9007199254740993")),
        ("s64", "1.0", Err("field \"x\" is \"1.0\", which is no s64: an integer, without point or exponent")),
        ("s64", " 1", Err("field \"x\" is \" 1\", which is no s64")),
        ("s64", "1 ", Err("field \"x\" is \"1 \", which is no s64")),
        ("s64", "+1", Err("field \"x\" is \"+1\", which is no s64")),
        ("s64", "", Err("field \"x\" is empty, which is no s64")),
        ("s64?", "", Ok("")),
        ("u8", "256", Err("field \"x\" is 256, which is out of the range of u8")),
        ("f64", "-0.5e3", Ok("-500.0")),
        ("f64", "1e400", Err("field \"x\" is 1e400, which is out of the range of f64")),
        ("f64", "NaN", Err("field \"x\" is \"NaN\", which is no f64: a number as in JSON")),
        ("f32", "0.1", Ok("0.1")),
        ("decimal(4, 2)", "12.3", Ok("12.30")),
        ("timestamp", "2026-01-31T12:00:00+01:00", Ok("2026-01-31T11:00:00Z")),
        ("timestamp", "2026-01-31 12:00", Err("field \"x\" is \"2026-01-31 12:00\", which is no timestamp")),
        ("date", "2026-01-31", Ok("2026-01-31")),
        ("string", "", Ok("\"\"")),
        ("string?", "", Ok("")),
        ("bytes?", "", Ok("")),
        ("string", " a ", Ok(" a ")),
        ("string", "a,\"b\"\r\n", Ok("\"a,\"\"b\"\"\r\n\"")),
        ("bytes", "aGk=", Ok("aGk=")),
        ("json", " [1, 2] ", Ok("\"[1, 2]\"")),
        ("list<s64>", "[1, 2]", Ok("\"[1,2]\"")),
        ("list<string?>", " [\"a\",null] ", Ok("\"[\"\"a\"\",null]\"")),
        ("list<s64>", "[1,2.5]", Err("field \"x[1]\" is \"2.5\", which is no s64")),
        ("list<s64>", "[1] 2", Err("field \"x\" is not JSON")),
        ("list<s64>", "1;2", Err("field \"x\" is a number, not list<s64>")),
        ("list<s64>", "", Err("field \"x\" is empty, which is no list<s64>")),
        ("list<s64>?", "", Ok("")),
        ("{a: s8}", "{\"a\":1}", Ok("\"{\"\"a\"\":1}\"")),
        ("{a: s8}", "{\"a\":128}", Err("field \"x.a\" is 128, which is out of the range of s8")),
        ("{a: s8}", "", Err("field \"x\" is empty, which is no struct")),
        ("{a: s8}", "x", Err("field \"x\" is not JSON")),
        ("json", "a", Err("field \"x\" is not JSON")),
    ];
    for (data_type, cell, expected) in cases {
        let schema = schema(&[("x", data_type), ("y", "string?")]);
        let mut table = Table::new(Arc::clone(&schema));
        let mut cells = CsvCells::new(&schema, [b"other".as_slice(), b"x"]).unwrap();
        let read = cells.read(|number| [b"?".as_slice(), cell.as_bytes()].get(number).copied(), |_| false, &mut table);
        let mut printed = Vec::new();
        let done = read.and_then(|()| CsvWriter::new(&schema).write_row(&table, 0, &mut printed));
        match (done.map_err(|error| error.to_string()), expected) {
            (Ok(()), Ok(expected)) => assert_eq!(String::from_utf8(printed).unwrap(), format!("{expected},")),
            (Err(found), Err(expected)) => assert!(found.starts_with(expected), "{data_type} {cell:?}: {found}"),
            (found, _) => panic!("{data_type} {cell:?}: {found:?}"),
        }
        assert!(table.fields().iter().all(|field| field.len() == table.len()));
    }
}

#[test]
fn a_header_names_each_read_field_once() {
    let schema = schema(&[("a", "s64"), ("b", "s64?")]);
    let message =
        |header: &[&str]| CsvCells::new(&schema, header.iter().map(|name| name.as_bytes())).unwrap_err().to_string();
    assert_eq!(message(&["b"]), "field \"a\" is missing");
    assert_eq!(message(&["a", "b", "a"]), "field \"a\" stands twice in the record");
    let mut table = Table::new(Arc::clone(&schema));
    let mut cells = CsvCells::new(&schema, [b"a".as_slice(), b"b"]).unwrap();
    let error = cells.read(|_| None, |_| false, &mut table).unwrap_err();
    assert_eq!(error.to_string(), "field \"a\" is missing");
    let not_utf8 = cells.read(|_| Some(b"\xff"), |_| false, &mut table).unwrap_err();
    assert_eq!(
        not_utf8.to_string(),
        "field \"a\" is \"\u{fffd}\", which is no s64: an integer, without point or exponent"
    );
}

#[test]
fn headers_and_numbers_that_are_not_finite_are_printed() {
    let schema = schema(&[("a,b", "f64"), ("c", "f32")]);
    let mut table = Table::new(Arc::clone(&schema));
    table.field_mut(0).unwrap().push_f64(f64::NAN);
    table.field_mut(1).unwrap().push_f32(f32::NEG_INFINITY);
    assert!(table.finish_row());
    let (mut writer, mut out) = (CsvWriter::new(&schema), Vec::new());
    writer.write_header(&mut out);
    out.push(b'\n');
    writer.write_row(&table, 0, &mut out).unwrap();
    assert_eq!(out, b"\"a,b\",c\nNaN,-inf");
}

#[test]
fn a_row_of_one_empty_cell_is_no_empty_line() {
    let schema = schema(&[("a", "string?")]);
    let mut table = Table::new(Arc::clone(&schema));
    table.field_mut(0).unwrap().push_null();
    assert!(table.finish_row());
    let mut out = Vec::new();
    CsvWriter::new(&schema).write_row(&table, 0, &mut out).unwrap();
    assert_eq!(out, b"\"\"");
}

#[test]
fn an_empty_text_has_quotes_and_a_null_has_none() {
    let schema = schema(&[("a", "string?"), ("b", "string?"), ("c", "f64?")]);
    let mut table = Table::new(Arc::clone(&schema));
    let mut cells = CsvCells::new(&schema, [b"a".as_slice(), b"b", b"c"]).unwrap();
    cells.read(|_| Some(b""), |number| number != 1, &mut table).unwrap();
    let mut out = Vec::new();
    CsvWriter::new(&schema).write_row(&table, 0, &mut out).unwrap();
    assert_eq!(out, b"\"\",,");
}

#[test]
fn chosen_fields_are_printed_in_their_order_with_other_characters() {
    let schema = schema(&[("a", "string"), ("b", "json"), ("c", "json"), ("d", "string")]);
    let mut table = Table::new(Arc::clone(&schema));
    for (at, text) in ["\u{feff}x", "\"d;e\\u00e9'\"", "\"f\"", "'"].into_iter().enumerate() {
        table.field_mut(at).unwrap().push_str(text);
    }
    assert!(table.finish_row());
    let field = |field, name: &str, untyped| OutputField { field, name: name.to_owned(), untyped };
    let fields = vec![field(0, "one", false), field(2, "t;wo", false), field(1, "three", true), field(3, "", false)];
    let mut writer = CsvWriter::of(&schema, fields, CsvForm { delimiter: b';', quote: b'\'' });
    let mut out = Vec::new();
    writer.write_header(&mut out);
    out.push(b'\n');
    writer.write_row(&table, 0, &mut out).unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), "one;'t;wo';three;''\n'\u{feff}x';\"f\";'d;eé''';''''");
}

#[test]
fn a_chosen_list_or_struct_is_its_json_text_and_a_cell_without_a_type_stays_as_it_was() {
    let schema = schema(&[("tags", "list<string?>"), ("text", "string"), ("place", "{lat: f64, note: string?}")]);
    let mut table = Table::new(Arc::clone(&schema));
    let mut cells = CsvCells::at(&schema, vec![Some(2), Some(1), Some(0)]);
    let row = [b"{\"note\":\"a;'b\",\"lat\":1}".as_slice(), b"", b"[\"x\",null]"];
    cells.read(|number| row.get(number).copied(), |_| false, &mut table).unwrap();
    let field = |field, name: &str, untyped| OutputField { field, name: name.to_owned(), untyped };
    let fields = vec![field(2, "p", false), field(1, "cell", true), field(1, "text", false), field(0, "t", false)];
    let mut writer = CsvWriter::of(&schema, fields, CsvForm { delimiter: b';', quote: b'\'' });
    let mut out = Vec::new();
    writer.write_row(&table, 0, &mut out).unwrap();
    let expected = "'{\"lat\":1.0,\"note\":\"a;''b\"}';;'';[\"x\",null]";
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}
