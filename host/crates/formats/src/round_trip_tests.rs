//! A reader reads the rows that its writer prints as the same values.

use std::sync::Arc;

use proptest::prelude::*;
use sage_batch::fields::{Cell, Table};

use crate::csv::{CsvCells, CsvWriter};
use crate::json::{JsonReader, JsonWriter};
use crate::test_schema::schema;

const FIELDS: [(&str, &str); 18] = [
    ("a", "bool?"),
    ("b", "s8?"),
    ("c", "s16?"),
    ("d", "s32?"),
    ("e", "s64?"),
    ("f", "u8?"),
    ("g", "u16?"),
    ("h", "u32?"),
    ("i", "u64?"),
    ("j", "f32?"),
    ("k", "f64?"),
    ("l", "timestamp?"),
    ("m", "date?"),
    ("n", "decimal(19, 4)?"),
    ("\"o\"\n", "string?"),
    ("p,é", "bytes?"),
    ("q", "list<string?>?"),
    ("r", "{a: s64?, \"b\": bytes}?"),
];

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "any value of the type will do")]
fn push(table: &mut Table, seeds: &[(bool, i64)], text: &str) {
    for (at, (null, seed)) in seeds.iter().enumerate() {
        let column = table.field_mut(at).unwrap();
        let seed = *seed;
        match at {
            _ if *null => column.push_null(),
            0 => column.push_bool(seed % 2 == 0),
            1 => column.push_s8(seed as i8),
            2 => column.push_s16(seed as i16),
            3 => column.push_s32(seed as i32),
            4 => column.push_s64(seed),
            5 => column.push_u8(seed as u8),
            6 => column.push_u16(seed as u16),
            7 => column.push_u32(seed as u32),
            8 => column.push_u64(seed as u64),
            9 => column.push_f32(Some(f32::from_bits(seed as u32)).filter(|value| value.is_finite()).unwrap_or(-0.0)),
            10 => column.push_f64(Some(f64::from_bits(seed as u64)).filter(|value| value.is_finite()).unwrap_or(-0.0)),
            11 => column.push_s64(seed % 60_000_000_000_000_000),
            12 => column.push_s32((seed % 700_000) as i32),
            13 => column.push_decimal(i128::from(seed)),
            14 => column.push_str(text),
            15 => column.push_bytes(&seed.to_le_bytes()),
            16 => {
                let elements = column.elements_mut().unwrap();
                (0..seed.unsigned_abs() % 4)
                    .for_each(|at| if at == 2 { elements.push_null() } else { elements.push_str(text) });
                column.end_list();
            }
            _ => {
                let member = column.member_mut(0).unwrap();
                if seed % 3 == 0 {
                    member.push_null()
                } else {
                    member.push_s64(seed)
                }
                column.member_mut(1).unwrap().push_bytes(text.as_bytes());
                column.end_struct();
            }
        }
    }
    assert!(table.finish_row());
}

/// The cells of a row; numbers by their bits.
fn shown(table: &Table) -> Vec<String> {
    let bits = |at| match table.cell(at, 0) {
        Some(Cell::F32(value)) => format!("{:x}", value.to_bits()),
        Some(Cell::F64(value)) => format!("{:x}", value.to_bits()),
        cell => {
            let inside = table.fields()[at].inside().iter();
            let values = inside.flat_map(|column| (0..column.len()).map(|row| format!("{:?}", column.cell(row))));
            format!("{cell:?} {:?}", values.collect::<Vec<_>>())
        }
    };
    (0..FIELDS.len()).map(bits).collect()
}

/// The cells of one row by RFC 4180, and whether each has quotes.
fn split(row: &[u8]) -> Vec<(Vec<u8>, bool)> {
    let mut cells = vec![(Vec::new(), false)];
    let mut quoted = false;
    for (at, &byte) in row.iter().enumerate() {
        match byte {
            b'"' => {
                // The second quote of two stands for one.
                if !quoted && at > 0 && row[at - 1] == b'"' {
                    cells.last_mut().unwrap().0.push(byte);
                }
                cells.last_mut().unwrap().1 = true;
                quoted = !quoted;
            }
            b',' if !quoted => cells.push((Vec::new(), false)),
            _ => cells.last_mut().unwrap().0.push(byte),
        }
    }
    cells
}

proptest! {
    #[test]
    fn a_row_comes_back_from_json_and_from_csv(
        seeds in prop::collection::vec((prop::bool::weighted(0.1), any::<i64>()), FIELDS.len()),
        text in "[ -~é☃\u{0}-\u{1f}]{0,20}",
    ) {
        let schema = schema(&FIELDS);
        let mut table = Table::new(Arc::clone(&schema));
        push(&mut table, &seeds, &text);

        let (mut printed, mut read) = (Vec::new(), Table::new(Arc::clone(&schema)));
        JsonWriter::new(&schema).write_row(&table, 0, &mut printed).unwrap();
        prop_assert!(!printed.contains(&b'\n') && serde_json::from_slice::<serde_json::Value>(&printed).is_ok());
        JsonReader::new(&schema).read(&printed, &mut read).unwrap();
        prop_assert_eq!(shown(&read), shown(&table));

        let (mut writer, mut header, mut row) = (CsvWriter::new(&schema), Vec::new(), Vec::new());
        writer.write_header(&mut header);
        writer.write_row(&table, 0, &mut row).unwrap();
        let (header, row) = (split(&header), split(&row));
        read.clear();
        let mut cells = CsvCells::new(&schema, header.iter().map(|(name, _)| name.as_slice())).unwrap();
        cells.read(|at| row.get(at).map(|(cell, _)| cell.as_slice()), |at| row[at].1, &mut read).unwrap();
        prop_assert_eq!(shown(&read), shown(&table));
    }
}
