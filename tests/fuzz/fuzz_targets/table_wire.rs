//! Any bytes as a table on the wire are refused, or read as a sound table that is written as the same bytes.

#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use sage_batch::fields::{Cell, DataType, Element, FieldColumn, FieldType, Members, Schema, Table};

fuzz_target!(|input: (Vec<(u8, bool)>, Vec<u8>)| {
    let (types, bytes) = input;
    let types = types.into_iter().take(6).enumerate().map(|(at, (data_type, nullable))| {
        let data_type = match data_type % 14 {
            10 => Element::new(DataType::S16, nullable).expect("a scalar").into(),
            11 => Element::new(DataType::String, !nullable).expect("a scalar").into(),
            12 => struct_of(&[DataType::Bool]),
            13 => struct_of(&[DataType::String, DataType::Decimal { precision: 5, scale: 2 }, DataType::U8]),
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
    for (column, field) in table.fields().iter().zip(schema.fields()) {
        assert_eq!(column.len(), table.len());
        check(column, &field.data_type, field.nullable);
    }
    let mut written = Vec::new();
    table.write(0..schema.fields().len(), &mut written).expect("memory takes everything");
    let mut again = Table::default();
    again.read(&schema, &[], &mut written.as_slice(), 1 << 12).expect("what was written can be read");
    assert_eq!(format!("{:?}", again.as_raw(&[])), format!("{:?}", table.as_raw(&[])));
});

/// A struct whose members are nullable, but for the first.
fn struct_of(types: &[DataType]) -> DataType {
    let member = |(at, data_type): (usize, &DataType)| FieldType {
        name: at.to_string(),
        data_type: data_type.clone(),
        nullable: at > 0,
        docs: String::new(),
    };
    Members::new(types.iter().enumerate().map(member).collect()).expect("scalars").into()
}

/// Asserts that each value of a column is sound, and each value inside of it.
fn check(column: &FieldColumn, data_type: &DataType, nullable: bool) {
    for row in 0..column.len() {
        match column.cell(row).expect("a row in range") {
            Cell::Null => assert!(nullable),
            Cell::Bytes(text) => assert!(!data_type.is_text() || std::str::from_utf8(text).is_ok()),
            Cell::Decimal(value) => assert!(value.unsigned_abs() < 100_000),
            Cell::List { start, end } => assert!(start <= end && end <= column.inside()[0].len()),
            Cell::Struct => assert!(column.inside().iter().all(|member| member.len() == column.len())),
            _ => {}
        }
    }
    match data_type {
        DataType::List(element) => check(&column.inside()[0], element.data_type(), element.is_nullable()),
        DataType::Struct(members) => {
            let pairs = column.inside().iter().zip(members.fields());
            pairs.for_each(|(column, field)| check(column, &field.data_type, field.nullable));
        }
        _ => {}
    }
}
