//! Tables against a naive model: rows as lists of optional values.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::Bitmap;

/// An owned value; bits of numbers, so that NaN equals itself.
#[derive(Debug, Clone, PartialEq)]
enum Value {
    Bool(bool),
    Signed(i64),
    Unsigned(u64),
    F32(u32),
    F64(u64),
    Decimal(i128),
    Text(String),
}

type Row = Vec<Option<Value>>;

const TYPES: [DataType; 17] = [
    DataType::Bool,
    DataType::S8,
    DataType::S16,
    DataType::S32,
    DataType::S64,
    DataType::U8,
    DataType::U16,
    DataType::U32,
    DataType::U64,
    DataType::F32,
    DataType::F64,
    DataType::Timestamp,
    DataType::Date,
    DataType::Decimal { precision: 20, scale: 3 },
    DataType::String,
    DataType::Bytes,
    DataType::Json,
];

fn schema_of(types: &[(DataType, bool)]) -> Arc<Schema> {
    let fields = types.iter().enumerate().map(|(at, &(data_type, nullable))| FieldType {
        name: format!("f{at}"),
        data_type,
        nullable,
        docs: String::new(),
    });
    Arc::new(Schema::new(fields.collect()).unwrap())
}

/// A value of a type, made from a number and a text.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "any value of the type will do")]
fn value_of(data_type: DataType, seed: i64, text: &str) -> Value {
    match data_type {
        DataType::Bool => Value::Bool(seed % 2 == 0),
        DataType::S8 => Value::Signed(i64::from(seed as i8)),
        DataType::S16 => Value::Signed(i64::from(seed as i16)),
        DataType::S32 | DataType::Date => Value::Signed(i64::from(seed as i32)),
        DataType::S64 | DataType::Timestamp => Value::Signed(seed),
        DataType::U8 => Value::Unsigned(u64::from(seed as u8)),
        DataType::U16 => Value::Unsigned(u64::from(seed as u16)),
        DataType::U32 => Value::Unsigned(u64::from(seed as u32)),
        DataType::U64 => Value::Unsigned(seed as u64),
        DataType::F32 => Value::F32(seed as u32),
        DataType::F64 => Value::F64(seed as u64),
        DataType::Decimal { .. } => Value::Decimal(i128::from(seed) * 10),
        DataType::String | DataType::Bytes | DataType::Json => Value::Text(text.to_owned()),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the values were made from these types")]
fn push(column: &mut FieldColumn, value: &Option<Value>) {
    match (value, column.values().storage()) {
        (None, _) => column.push_null(),
        (Some(Value::Bool(v)), _) => column.push_bool(*v),
        (Some(Value::Signed(v)), Storage::S8) => column.push_s8(*v as i8),
        (Some(Value::Signed(v)), Storage::S16) => column.push_s16(*v as i16),
        (Some(Value::Signed(v)), Storage::S32) => column.push_s32(*v as i32),
        (Some(Value::Signed(v)), _) => column.push_s64(*v),
        (Some(Value::Unsigned(v)), Storage::U8) => column.push_u8(*v as u8),
        (Some(Value::Unsigned(v)), Storage::U16) => column.push_u16(*v as u16),
        (Some(Value::Unsigned(v)), Storage::U32) => column.push_u32(*v as u32),
        (Some(Value::Unsigned(v)), _) => column.push_u64(*v),
        (Some(Value::F32(v)), _) => column.push_f32(f32::from_bits(*v)),
        (Some(Value::F64(v)), _) => column.push_f64(f64::from_bits(*v)),
        (Some(Value::Decimal(v)), _) => column.push_decimal(*v),
        (Some(Value::Text(v)), _) => column.push_str(v),
    }
}

fn built(schema: &Arc<Schema>, rows: &[Row]) -> Table {
    let mut table = Table::new(Arc::clone(schema));
    for row in rows {
        for (at, value) in row.iter().enumerate() {
            push(table.field_mut(at).unwrap(), value);
        }
        assert!(table.finish_row());
    }
    table
}

fn rows_of(table: &Table) -> Vec<Row> {
    let value = |cell: Cell<'_>| match cell {
        Cell::Null => None,
        Cell::Bool(v) => Some(Value::Bool(v)),
        Cell::Signed(v) => Some(Value::Signed(v)),
        Cell::Unsigned(v) => Some(Value::Unsigned(v)),
        Cell::F32(v) => Some(Value::F32(v.to_bits())),
        Cell::F64(v) => Some(Value::F64(v.to_bits())),
        Cell::Decimal(v) => Some(Value::Decimal(v)),
        Cell::Bytes(v) => Some(Value::Text(String::from_utf8(v.to_vec()).unwrap())),
    };
    let fields = table.fields().len();
    for field in table.fields() {
        assert_eq!(field.len(), table.len());
        assert!(field.validity().is_none_or(|bits| bits.len() == table.len()));
    }
    (0..table.len()).map(|row| (0..fields).map(|field| value(table.cell(field, row).unwrap())).collect()).collect()
}

fn rows(types: Vec<(DataType, bool)>) -> impl Strategy<Value = (Arc<Schema>, Vec<Row>)> {
    let schema = schema_of(&types);
    let cell = (prop::bool::weighted(0.2), any::<i64>(), "[a-zé☃]{0,5}");
    let row = prop::collection::vec(cell, types.len()).prop_map(move |cells| {
        let made = cells.iter().zip(&types).map(|((null, seed, text), (data_type, nullable))| {
            (!(*null && *nullable)).then(|| value_of(*data_type, *seed, text))
        });
        made.collect::<Row>()
    });
    prop::collection::vec(row, 0..40).prop_map(move |rows| (Arc::clone(&schema), rows))
}

fn tables() -> impl Strategy<Value = (Arc<Schema>, Vec<Row>)> {
    prop::collection::vec((prop::sample::select(TYPES.to_vec()), any::<bool>()), 0..6).prop_flat_map(rows)
}

proptest! {
    #[test]
    fn ranges_and_kept_rows_are_those_of_the_model(
        (schema, rows) in tables(),
        cut in any::<prop::sample::Index>(),
        mask in prop::collection::vec(any::<u8>(), 5),
    ) {
        let table = built(&schema, &rows);
        prop_assert_eq!(rows_of(&table), rows.clone());
        let cut = cut.index(rows.len() + 1);
        let mut copy = Table::new(Arc::clone(&schema));
        copy.append_range(&table, cut, rows.len() + 3);
        copy.append_range(&table, 0, cut);
        prop_assert_eq!(rows_of(&copy), [&rows[cut..], &rows[..cut]].concat());

        let is_kept = |at: &usize| mask[at / 8] >> (at % 8) & 1 == 1;
        let kept: Vec<Row> = (0..rows.len()).filter(is_kept).map(|at| rows[at].clone()).collect();
        copy.truncate(cut);
        let start = rows_of(&copy);
        copy.append_kept(&table, Bitmap::new(&mask));
        prop_assert_eq!(rows_of(&copy), [start, kept].concat());
    }

    #[test]
    fn a_sound_table_is_taken_over_and_comes_back_from_the_wire((schema, rows) in tables()) {
        let table = built(&schema, &rows);
        let mut assigned = Table::default();
        prop_assert_eq!(assigned.assign(&schema, rows.len(), &table.as_raw(), None, &mut Vec::new()), Ok(()));
        prop_assert_eq!(rows_of(&assigned), rows.clone());
        let same: Vec<RawField<'_>> = (0u32..).zip(schema.fields())
            .map(|(at, _)| RawField { values: RawValues::Same(at), validity: None }).collect();
        let mut moved = Vec::new();
        let assigned_same = assigned.assign(&schema, rows.len(), &same, Some(input_of(&table)), &mut moved);
        prop_assert_eq!(assigned_same, Ok(()));
        // Each field of the input twice: one is a copy.
        let parts: Vec<Part> = moved.iter().chain(&moved).map(|field| Part::Input(field.from)).collect();
        let twice = schema_of(&types_of(&schema).repeat(2));
        let mut both = Table::default();
        both.assemble(&twice, rows.len(), &parts, &mut assigned, &mut table.clone());
        prop_assert_eq!(rows_of(&both), rows.iter().map(|row| [row.clone(), row.clone()].concat()).collect::<Vec<_>>());

        let mut wire = Vec::new();
        table.write(0..schema.fields().len(), &mut wire).unwrap();
        prop_assert_eq!(wire.len(), table.wire_len(0..schema.fields().len()));
        let mut rest = wire.as_slice();
        assigned.read(&schema, &[], &mut rest, 1 << 20).unwrap();
        prop_assert!(rest.is_empty());
        prop_assert_eq!(rows_of(&assigned), rows);
    }

    #[test]
    fn any_bytes_are_an_error_or_a_sound_table(
        (schema, rows) in tables(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut wire = Vec::new();
        built(&schema, &rows).write(0..schema.fields().len(), &mut wire).unwrap();
        for (at, byte) in changes {
            let at = at.index(wire.len());
            wire[at] = byte;
        }
        wire.truncate(cut.index(wire.len() + 1).max(wire.len() / 2));
        let mut table = Table::default();
        if table.read(&schema, &[], &mut wire.as_slice(), 1 << 12).is_ok() {
            for (column, field) in table.fields().iter().zip(schema.fields()) {
                prop_assert_eq!(column.len(), table.len());
                for row in 0..table.len() {
                    if let Some(Cell::Bytes(bytes)) = column.cell(row) {
                        prop_assert!(!field.data_type.is_text() || std::str::from_utf8(bytes).is_ok());
                    }
                }
            }
        } else {
            prop_assert!(table.is_empty() && table.fields().iter().all(FieldColumn::is_empty));
        }
    }
}

fn input_of(table: &Table) -> Input<'_> {
    Input { schema: table.schema(), rows: table.len(), nulls: &[] }
}

fn types_of(schema: &Schema) -> Vec<(DataType, bool)> {
    schema.fields().iter().map(|field| (field.data_type, field.nullable)).collect()
}

fn refusal(types: &[(DataType, bool)], rows: usize, fields: &[RawField<'_>], input: Option<&Table>) -> String {
    let mut table = Table::default();
    let error = table.assign(&schema_of(types), rows, fields, input.map(input_of), &mut Vec::new()).unwrap_err();
    assert!(table.is_empty() && table.fields().iter().all(FieldColumn::is_empty));
    error.to_string()
}

#[test]
fn a_malformed_field_is_refused_with_the_rule_it_breaks() {
    const DECIMAL: DataType = DataType::Decimal { precision: 2, scale: 0 };
    let raw = |values| RawField { values, validity: None };
    let valid = |values, validity| RawField { values, validity: Some(validity) };
    let two: &[f64] = &[1.0, 2.0];
    let cases: [((DataType, bool), RawField<'_>, &str); 15] = [
        ((DataType::S64, false), raw(RawValues::F64(two)), "f64 values, its type is stored as s64"),
        ((DataType::F64, false), raw(RawValues::F64(&[1.0])), "1 values in a table of 2 rows"),
        ((DataType::F64, false), valid(RawValues::F64(two), &[3]), "a validity bitmap, but the field is not nullable"),
        ((DataType::F64, true), valid(RawValues::F64(two), &[]), "validity: a bitmap of 0 bytes, 1 are needed"),
        ((DataType::F64, true), valid(RawValues::F64(two), &[7]), "validity: a bit is set past record 2"),
        ((DataType::Bool, false), raw(RawValues::Bools(&[4])), "values: a bit is set past record 2"),
        ((DataType::Bool, false), raw(RawValues::Bools(&[1, 1])), "values: a bitmap of 2 bytes, 1 are needed"),
        ((DataType::String, false), raw(RawValues::Strings(&[0, 2, 1], b"a")), "values: offset 2 is 1, below 2"),
        ((DataType::String, false), raw(RawValues::Strings(&[], b"a")), "values: no offsets"),
        ((DataType::String, false), raw(RawValues::Strings(&[0, 1, 2], b"a\xff")), "values: entry 1 is not UTF-8"),
        ((DataType::Json, false), raw(RawValues::Strings(&[0, 1, 2], "é".as_bytes())), "values: entry 0 is not UTF-8"),
        ((DECIMAL, false), raw(RawValues::Decimals(&[1, 0, 100, 0])), "row 1 is 100 without its point, which has more"),
        (
            (DECIMAL, false),
            raw(RawValues::Decimals(&[u64::MAX - 98, u64::MAX, u64::MAX - 99, u64::MAX])),
            "row 1 is -100 without its point",
        ),
        ((DECIMAL, false), raw(RawValues::Decimals(&[1, 0, 1])), "3 words of decimals, each decimal has two"),
        ((DECIMAL, false), raw(RawValues::Same(0)), "`same`, but there is no input table"),
    ];
    for (field, raw, expected) in cases {
        let found = refusal(&[field], 2, &[raw], None);
        assert!(found.starts_with(&format!("field \"f0\": {expected}")), "{found}");
    }
    assert_eq!(refusal(&[(DataType::F64, false)], 2, &[], None), "a table of 0 fields, the schema has 1");
}

#[test]
fn same_is_refused_where_the_field_of_the_input_does_not_fit() {
    let types = [(DataType::S32, false), (DataType::F64, true)];
    let input = built(&schema_of(&types), &[vec![Some(Value::Signed(1)), None]]);
    let same = |at| RawField { values: RawValues::Same(at), validity: None };
    let cases = [
        ((DataType::S32, false), 1, same(2), "`same` of field 2, the input has 2"),
        ((DataType::Date, false), 1, same(0), "`same` of field \"f0\", which is s32, not date"),
        ((DataType::F64, false), 1, same(1), "`same` of field \"f1\", which has nulls; this field is not nullable"),
        ((DataType::S32, false), 2, same(0), "`same` in a table of 2 rows, the input has 1"),
        (
            (DataType::F64, true),
            1,
            RawField { validity: Some(&[1]), ..same(1) },
            "`same` with a validity bitmap of its own",
        ),
    ];
    for (field, rows, raw, expected) in cases {
        assert_eq!(refusal(&[field], rows, &[raw], Some(&input)), format!("field \"f0\": {expected}"));
    }
}

#[test]
fn the_value_of_a_row_that_is_null_is_not_checked() {
    let schema = schema_of(&[(DataType::Decimal { precision: 2, scale: 0 }, true)]);
    let raw = RawField { values: RawValues::Decimals(&[100, 0]), validity: Some(&[0]) };
    let mut table = Table::default();
    assert_eq!(table.assign(&schema, 1, &[raw], None, &mut Vec::new()), Ok(()));
    assert_eq!(table.cell(0, 0), Some(Cell::Null));
}

#[test]
fn a_row_that_is_not_whole_is_dropped() {
    let schema = schema_of(&[(DataType::F64, false), (DataType::String, true)]);
    let mut table = built(&schema, &[vec![Some(Value::F64(0)), None]]);
    let before = rows_of(&table);
    table.field_mut(0).unwrap().push_f64(1.0);
    assert!(!table.finish_row(), "a field has no value");
    table.field_mut(0).unwrap().push_null();
    table.field_mut(1).unwrap().push_null();
    assert!(!table.finish_row(), "a field that is not nullable has a null");
    table.field_mut(0).unwrap().push_s64(1);
    table.field_mut(1).unwrap().push_str("a");
    assert!(!table.finish_row(), "a value has another layout");
    assert_eq!(rows_of(&table), before);
    assert!(table.fields()[0].validity().is_none());
}

#[test]
fn a_reset_keeps_the_buffers_whose_layout_stays() {
    let first = schema_of(&[(DataType::S64, false), (DataType::String, false)]);
    let mut table = built(&first, &vec![vec![Some(Value::Signed(1)), Some(Value::Text("abc".to_owned()))]; 100]);
    assert_eq!(table.weight(), 100 * (8 + 3 + 4));
    let capacity = table.capacity();
    table.reset(&schema_of(&[(DataType::Timestamp, true), (DataType::Json, false)]));
    assert!(table.is_empty() && table.capacity() == capacity);
    table.reset(&schema_of(&[(DataType::F64, true)]));
    assert_eq!((table.capacity(), table.weight(), table.fields().len()), (0, 0, 1));
}
