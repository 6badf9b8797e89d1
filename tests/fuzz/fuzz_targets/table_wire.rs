//! Any bytes as a table on the wire are refused, or read as a sound table that is written as the same bytes.

#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use sage_batch::fields::{Cell, DataType, FieldType, Schema, Table};

fuzz_target!(|input: (Vec<(u8, bool)>, Vec<u8>)| {
    let (types, bytes) = input;
    let types = types.into_iter().take(6).enumerate().map(|(at, (data_type, nullable))| {
        let data_type = match data_type % 10 {
            0 => DataType::Bool,
            1 => DataType::S8,
            2 => DataType::U16,
            3 => DataType::S32,
            4 => DataType::U64,
            5 => DataType::F64,
            6 => DataType::Decimal { precision: 5, scale: 2 },
            7 => DataType::String,
            8 => DataType::Bytes,
            _ => DataType::Timestamp,
        };
        FieldType { name: at.to_string(), data_type, nullable, docs: String::new() }
    });
    let schema = Arc::new(Schema::new(types.collect()).expect("names that differ"));
    let mut table = Table::default();
    let mut rest = bytes.as_slice();
    if table.read(&schema, &[], &mut rest, 1 << 12).is_err() {
        assert!(table.is_empty());
        return;
    }
    for (at, field) in schema.fields().iter().enumerate() {
        for row in 0..table.len() {
            match table.cell(at, row).expect("a row in range") {
                Cell::Null => assert!(field.nullable),
                Cell::Bytes(text) => assert!(!field.data_type.is_text() || std::str::from_utf8(text).is_ok()),
                Cell::Decimal(value) => assert!(value.unsigned_abs() < 100_000),
                _ => {}
            }
        }
    }
    let mut written = Vec::new();
    table.write(0..schema.fields().len(), &mut written).expect("memory takes everything");
    let mut again = Table::default();
    again.read(&schema, &[], &mut written.as_slice(), 1 << 12).expect("what was written can be read");
    assert_eq!(format!("{:?}", again.as_raw()), format!("{:?}", table.as_raw()));
});
