//! Tables against a naive model: rows as lists of optional values.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::Bitmap;

/// An owned value; bits of numbers, so that NaN equals itself.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Bool(bool),
    Signed(i64),
    Unsigned(u64),
    F32(u32),
    F64(u64),
    Decimal(i128),
    Text(String),
    /// The elements of a list, or the members of a struct.
    Inside(Vec<Option<Value>>),
}

pub(super) type Row = Vec<Option<Value>>;

const SCALARS: [DataType; 17] = [
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

/// Every type, and lists and structs of several.
fn types() -> Vec<DataType> {
    let lists = SCALARS.into_iter().enumerate().map(|(at, element)| list_of(element, at % 2 == 0));
    let structs = [&SCALARS[..1], &SCALARS[3..8], &SCALARS[9..]].map(struct_of);
    SCALARS.into_iter().chain(lists).chain(structs).collect()
}

pub(super) fn list_of(element: DataType, nullable: bool) -> DataType {
    Element::new(element, nullable).unwrap().into()
}

pub(super) fn struct_of(members: &[DataType]) -> DataType {
    let member = |(at, data_type): (usize, &DataType)| FieldType {
        name: format!("m{at}"),
        data_type: data_type.clone(),
        nullable: at % 2 == 0,
        docs: String::new(),
    };
    Members::new(members.iter().enumerate().map(member).collect()).unwrap().into()
}

pub(super) fn schema_of(types: &[(DataType, bool)]) -> Arc<Schema> {
    let fields = types.iter().enumerate().map(|(at, (data_type, nullable))| FieldType {
        name: format!("f{at}"),
        data_type: data_type.clone(),
        nullable: *nullable,
        docs: String::new(),
    });
    Arc::new(Schema::new(fields.collect()).unwrap())
}

/// A value of a type, made from a number and a text.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "any value of the type will do")]
fn value_of(data_type: &DataType, seed: i64, text: &str) -> Value {
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
        DataType::List(element) => {
            let count = seed.unsigned_abs() % 4;
            let element = |at| {
                let null = element.is_nullable() && (seed ^ at) % 3 == 0;
                (!null).then(|| value_of(element.data_type(), seed.wrapping_mul(at + 3), text))
            };
            Value::Inside((0..).take(count as usize).map(element).collect())
        }
        DataType::Struct(members) => {
            let member = |(at, field): (i64, &FieldType)| {
                let null = field.nullable && (seed ^ at) % 3 == 0;
                (!null).then(|| value_of(&field.data_type, seed.wrapping_mul(at + 3), text))
            };
            Value::Inside((0..).zip(members.fields()).map(member).collect())
        }
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
        (Some(Value::Inside(elements)), Storage::Lists) => {
            elements.iter().for_each(|element| push(column.elements_mut().unwrap(), element));
            column.end_list();
        }
        (Some(Value::Inside(members)), _) => {
            members.iter().enumerate().for_each(|(at, member)| push(column.member_mut(at).unwrap(), member));
            column.end_struct();
        }
    }
}

pub(super) fn built(schema: &Arc<Schema>, rows: &[Row]) -> Table {
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
    let fields = table.fields();
    for field in fields {
        assert_eq!(field.len(), table.len());
        assert!(field.validity().is_none_or(|bits| bits.len() == table.len()));
    }
    (0..table.len()).map(|row| fields.iter().map(|field| value_in(field, row)).collect()).collect()
}

fn value_in(column: &FieldColumn, row: usize) -> Option<Value> {
    match column.cell(row).unwrap() {
        Cell::Null => None,
        Cell::Bool(v) => Some(Value::Bool(v)),
        Cell::Signed(v) => Some(Value::Signed(v)),
        Cell::Unsigned(v) => Some(Value::Unsigned(v)),
        Cell::F32(v) => Some(Value::F32(v.to_bits())),
        Cell::F64(v) => Some(Value::F64(v.to_bits())),
        Cell::Decimal(v) => Some(Value::Decimal(v)),
        Cell::Bytes(v) => Some(Value::Text(String::from_utf8(v.to_vec()).unwrap())),
        Cell::List { start, end } => {
            Some(Value::Inside((start..end).map(|row| value_in(&column.inside()[0], row)).collect()))
        }
        Cell::Struct => Some(Value::Inside(column.inside().iter().map(|member| value_in(member, row)).collect())),
    }
}

fn rows(types: Vec<(DataType, bool)>) -> impl Strategy<Value = (Arc<Schema>, Vec<Row>)> {
    let schema = schema_of(&types);
    let cell = (prop::bool::weighted(0.2), any::<i64>(), "[a-zé☃]{0,5}");
    let row = prop::collection::vec(cell, types.len()).prop_map(move |cells| {
        let made = cells.iter().zip(&types).map(|((null, seed, text), (data_type, nullable))| {
            (!(*null && *nullable)).then(|| value_of(data_type, *seed, text))
        });
        made.collect::<Row>()
    });
    prop::collection::vec(row, 0..40).prop_map(move |rows| (Arc::clone(&schema), rows))
}

fn tables() -> impl Strategy<Value = (Arc<Schema>, Vec<Row>)> {
    prop::collection::vec((prop::sample::select(types()), any::<bool>()), 0..6).prop_flat_map(rows)
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
        prop_assert_eq!(assigned.assign(&schema, rows.len(), &table.as_raw(&[]), None, &mut Vec::new()), Ok(()));
        prop_assert_eq!(rows_of(&assigned), rows.clone());
        let all: Vec<SameField> = (0..schema.fields().len()).map(|at| SameField { to: at, from: at }).collect();
        let same = table.as_raw(&all);
        // A table of which some fields are the same refers to the children of the others.
        let some: Vec<SameField> = all.iter().copied().filter(|field| field.to % 2 == 1).collect();
        let taken = assigned.assign(&schema, rows.len(), &table.as_raw(&some), Some(input_of(&table)), &mut Vec::new());
        prop_assert_eq!(taken, Ok(()));
        let mut moved = Vec::new();
        let assigned_same = assigned.assign(&schema, rows.len(), &same, Some(input_of(&table)), &mut moved);
        prop_assert_eq!(assigned_same, Ok(()));
        // Each field of the input twice: one is a copy.
        let parts: Vec<Part> = moved.iter().chain(&moved).map(|field| Part::Input(field.from)).collect();
        let twice = schema_of(&[types_of(&schema), types_of(&schema)].concat());
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
                    if field.data_type.is_nested() {
                        prop_assert!(column.is_whole_inside(&field.data_type));
                    }
                }
            }
        } else {
            prop_assert!(table.is_empty() && table.fields().iter().all(FieldColumn::is_empty));
        }
    }
}

pub(super) fn input_of(table: &Table) -> Input<'_> {
    Input { schema: table.schema(), rows: table.len(), nulls: &[] }
}

fn types_of(schema: &Schema) -> Vec<(DataType, bool)> {
    schema.fields().iter().map(|field| (field.data_type.clone(), field.nullable)).collect()
}

#[test]
fn a_row_that_is_not_whole_inside_is_dropped() {
    let list = list_of(DataType::S8, false);
    let mut table = Table::new(schema_of(&[(list, true), (struct_of(&[DataType::S8, DataType::S8]), true)]));
    type Change = fn(&mut FieldColumn, &mut FieldColumn);
    // What is pushed besides an element, and the two members of a struct.
    let cases: [(Change, bool); 6] = [
        (|_, _| {}, true),
        (|list, _| list.elements_mut().unwrap().push_null(), false),
        (|_, place| place.member_mut(1).unwrap().push_null(), false),
        (|_, place| place.member_mut(0).unwrap().push_s8(1), false),
        (|_, place| place.end_struct(), false),
        (|list, _| list.end_list(), false),
    ];
    for (change, whole) in cases {
        let rows = table.len();
        let (list, place) = table.fields.split_at_mut(1);
        let (list, place) = (&mut list[0], &mut place[0]);
        list.elements_mut().unwrap().push_s8(1);
        place.member_mut(0).unwrap().push_s8(1);
        change(list, place);
        list.end_list();
        let last = place.member_mut(1).unwrap();
        if last.len() == rows {
            last.push_s8(1);
        }
        place.end_struct();
        assert_eq!(table.finish_row(), whole);
        assert_eq!(table.len(), rows + usize::from(whole));
        let inside = table.fields().iter().flat_map(FieldColumn::inside);
        assert!(table.fields().iter().chain(inside).all(|field| field.len() == 1 && field.validity().is_none()));
    }
    table.field_mut(0).unwrap().elements_mut().unwrap().push_s8(1);
    table.field_mut(0).unwrap().push_null();
    table.field_mut(1).unwrap().push_null();
    assert!(!table.finish_row(), "an element that is in no list");
}

#[test]
fn a_null_list_is_no_empty_list() {
    let schema = schema_of(&[(list_of(DataType::S64, true), true)]);
    let mut table = Table::new(schema);
    table.field_mut(0).unwrap().end_list();
    assert!(table.finish_row());
    table.field_mut(0).unwrap().push_null();
    assert!(table.finish_row());
    assert_eq!(table.cell(0, 0), Some(Cell::List { start: 0, end: 0 }));
    assert_eq!(table.cell(0, 1), Some(Cell::Null));
}

#[test]
fn the_value_of_a_row_that_is_null_is_not_checked() {
    let schema = schema_of(&[(DataType::Decimal { precision: 2, scale: 0 }, true)]);
    let raw = RawField { values: RawValues::Decimals(&[100, 0]), validity: Some(&[0]) };
    let mut table = Table::default();
    assert_eq!(
        table.assign(&schema, 1, &RawTable { fields: vec![raw], children: Vec::new() }, None, &mut Vec::new()),
        Ok(())
    );
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
