//! Any bytes as a record are refused, or read as fields. The row that was read is printed as JSON that serde_json
//! accepts, and reads back as the same row.

#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use sage_batch::fields::{DataType, Element, FieldType, Members, Schema, Table};
use sage_formats::json::{JsonReader, JsonWriter};

static SCHEMA: LazyLock<Arc<Schema>> = LazyLock::new(|| {
    let list = |element, nullable| DataType::from(Element::new(element, nullable).expect("a scalar"));
    let field = |(name, data_type): (&str, DataType)| FieldType {
        name: name.to_owned(),
        data_type,
        nullable: true,
        docs: String::new(),
    };
    let mut members: Vec<FieldType> =
        [("a", DataType::S16), ("b", DataType::String), ("c", DataType::Timestamp)].map(field).into();
    members[0].nullable = false;
    let types = [
        ("s", DataType::String),
        ("i", DataType::S64),
        ("u", DataType::U64),
        ("n", DataType::F64),
        ("f", DataType::F32),
        ("b", DataType::Bool),
        ("t", DataType::Timestamp),
        ("d", DataType::Date),
        ("m", DataType::Decimal { precision: 20, scale: 3 }),
        ("y", DataType::Bytes),
        ("l", list(DataType::String, true)),
        ("k", list(DataType::F64, false)),
        ("p", Members::new(members).expect("scalars").into()),
        ("j", DataType::Json),
    ];
    Arc::new(Schema::new(types.map(field).into()).expect("names that differ"))
});

fuzz_target!(|record: &[u8]| {
    let mut table = Table::new(Arc::clone(&SCHEMA));
    let mut reader = JsonReader::new(&SCHEMA);
    let read = reader.read(record, &mut table);
    assert_eq!(table.len(), usize::from(read.is_ok()), "a record that is refused leaves the table as it was");
    if read.is_err() {
        return;
    }
    assert!(std::str::from_utf8(record).is_ok());
    let mut text = Vec::new();
    JsonWriter::new(&SCHEMA).write_row(&table, 0, &mut text).expect("what was read can be printed");
    serde_json::from_slice::<&serde_json::value::RawValue>(&text).expect("what is printed is JSON");
    let mut again = Table::new(Arc::clone(&SCHEMA));
    reader.read(&text, &mut again).expect("what is printed can be read");
    // The text of a `json` field loses its line ends, so its rows are compared as they are printed.
    let columns = SCHEMA.fields().len() - 1;
    let (found, others) = (table.as_raw(&[]), again.as_raw(&[]));
    assert_eq!(format!("{:?}", &found.fields[..columns]), format!("{:?}", &others.fields[..columns]));
    assert_eq!(format!("{:?}", found.children), format!("{:?}", others.children));
    let mut printed = Vec::new();
    JsonWriter::new(&SCHEMA).write_row(&again, 0, &mut printed).expect("what was read can be printed");
    assert_eq!(printed, text);
});
