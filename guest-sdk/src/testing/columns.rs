//! Columns out of the cells of rows, and cells out of columns.

use crate::fields::{DataType, Field, FieldType, Table, Values};
use crate::types::Column;

/// A value of a row; `None` if the row has no value.
pub(super) type Cell = Option<Scalar>;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Scalar {
    Bool(bool),
    /// An integer, a timestamp, a date, or a decimal without its point.
    Integer(i128),
    Float(f64),
    /// Text, JSON or bytes.
    Bytes(Vec<u8>),
    /// The elements of a list, or the members of a struct.
    Inside(Vec<Cell>),
}

/// Returns bit `row` of a bitmap.
pub(super) fn bit(bitmap: &[u8], row: usize) -> bool {
    bitmap.get(row / 8).is_some_and(|byte| byte >> (row % 8) & 1 == 1)
}

fn bitmap(bits: impl Iterator<Item = bool>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (row, bit) in bits.enumerate() {
        if row % 8 == 0 {
            bytes.push(0);
        }
        if let Some(byte) = bytes.last_mut() {
            *byte |= u8::from(bit) << (row % 8);
        }
    }
    bytes
}

/// Builds a table. Each row has one cell for each field.
pub(super) fn build(fields: &[FieldType], rows: &[Vec<Cell>]) -> Table {
    let mut children = Vec::new();
    let fields = fields.iter().enumerate().map(|(at, field)| {
        let cells: Vec<Option<&Scalar>> = rows.iter().map(|row| row.get(at).and_then(Option::as_ref)).collect();
        column(field, &cells, &mut children)
    });
    Table { rows: rows.len() as u32, fields: fields.collect(), children }
}

fn column(field: &FieldType, cells: &[Option<&Scalar>], children: &mut Vec<Field>) -> Field {
    // Where a row has no struct, its members have no value either; only a nullable member says so.
    let absent = field.nullable && cells.iter().any(Option::is_none);
    Field {
        values: values(field.data_type, cells, children),
        validity: absent.then(|| bitmap(cells.iter().map(Option::is_some))),
    }
}

/// The cells inside of a list or a struct.
fn inside<'c>(cell: &Option<&'c Scalar>) -> &'c [Cell] {
    match cell {
        Some(Scalar::Inside(cells)) => cells,
        _ => &[],
    }
}

fn values(data_type: DataType, cells: &[Option<&Scalar>], children: &mut Vec<Field>) -> Values {
    let integers = || {
        cells.iter().map(|cell| match cell {
            Some(Scalar::Integer(integer)) => *integer,
            _ => 0,
        })
    };
    let floats = || {
        cells.iter().map(|cell| match cell {
            Some(Scalar::Float(float)) => *float,
            _ => 0.0,
        })
    };
    match data_type {
        DataType::Bool => Values::Bools(bitmap(cells.iter().map(|cell| matches!(cell, Some(Scalar::Bool(true)))))),
        DataType::S8 => Values::Int8s(integers().map(|integer| integer as i8).collect()),
        DataType::S16 => Values::Int16s(integers().map(|integer| integer as i16).collect()),
        DataType::S32 | DataType::Date => Values::Int32s(integers().map(|integer| integer as i32).collect()),
        DataType::S64 | DataType::Timestamp => Values::Int64s(integers().map(|integer| integer as i64).collect()),
        DataType::U8 => Values::Uint8s(integers().map(|integer| integer as u8).collect()),
        DataType::U16 => Values::Uint16s(integers().map(|integer| integer as u16).collect()),
        DataType::U32 => Values::Uint32s(integers().map(|integer| integer as u32).collect()),
        DataType::U64 => Values::Uint64s(integers().map(|integer| integer as u64).collect()),
        DataType::F32 => Values::Float32s(floats().map(|float| float as f32).collect()),
        DataType::F64 => Values::Float64s(floats().collect()),
        DataType::Decimal { .. } => {
            let words = |integer: i128| [integer as u64, ((integer as u128) >> 64) as u64];
            Values::Decimals(integers().flat_map(words).collect())
        }
        DataType::Text | DataType::Bytes | DataType::JsonText => {
            Values::Strings(Column::of(cells.iter().map(|cell| match cell {
                Some(Scalar::Bytes(bytes)) => bytes.as_slice(),
                _ => &[],
            })))
        }
        DataType::List(element) => {
            let mut offsets = vec![0];
            let mut elements = Vec::new();
            for cell in cells {
                elements.extend(inside(cell).iter().map(Option::as_ref));
                offsets.push(elements.len() as u32);
            }
            let child = column(element, &elements, children);
            children.push(child);
            Values::Lists((offsets, children.len() as u32 - 1))
        }
        DataType::Struct(members) => {
            let numbers = members.iter().enumerate().map(|(at, member)| {
                let cells: Vec<Option<&Scalar>> =
                    cells.iter().map(|cell| inside(cell).get(at).and_then(Option::as_ref)).collect();
                let child = column(member, &cells, children);
                children.push(child);
                children.len() as u32 - 1
            });
            Values::Structs(numbers.collect())
        }
    }
}

/// Returns the cell of a row. `children` are those of the field's table.
pub(super) fn cell(field: &Field, children: &[Field], row: usize) -> Cell {
    if field.validity.as_ref().is_some_and(|validity| !bit(validity, row)) {
        return None;
    }
    let integer = |integer: i128| Some(Scalar::Integer(integer));
    match &field.values {
        Values::Same(_) => None,
        Values::Bools(bits) => Some(Scalar::Bool(bit(bits, row))),
        Values::Int8s(values) => integer((*values.get(row)?).into()),
        Values::Int16s(values) => integer((*values.get(row)?).into()),
        Values::Int32s(values) => integer((*values.get(row)?).into()),
        Values::Int64s(values) => integer((*values.get(row)?).into()),
        Values::Uint8s(values) => integer((*values.get(row)?).into()),
        Values::Uint16s(values) => integer((*values.get(row)?).into()),
        Values::Uint32s(values) => integer((*values.get(row)?).into()),
        Values::Uint64s(values) => integer((*values.get(row)?).into()),
        Values::Float32s(values) => Some(Scalar::Float(values.get(row)?.to_string().parse().unwrap_or(f64::NAN))),
        Values::Float64s(values) => Some(Scalar::Float(*values.get(row)?)),
        Values::Decimals(words) => {
            let [low, high] = *words.as_chunks().0.get(row)?;
            integer((u128::from(high) << 64 | u128::from(low)) as i128)
        }
        Values::Strings(column) => Some(Scalar::Bytes(column.get(row)?.to_vec())),
        Values::Lists((offsets, number)) => {
            let elements = children.get(*number as usize)?;
            let (start, end) = (*offsets.get(row)? as usize, *offsets.get(row + 1)? as usize);
            Some(Scalar::Inside((start..end).map(|row| cell(elements, children, row)).collect()))
        }
        Values::Structs(numbers) => {
            let member = |number: &u32| children.get(*number as usize).map(|member| cell(member, children, row));
            Some(Scalar::Inside(numbers.iter().map(member).collect::<Option<_>>()?))
        }
    }
}

/// Checks the column of an answer, as a host does.
///
/// # Panics
/// The column is not sound, so the host would fail the call.
pub(super) fn check(field: &Field, children: &[Field], given: &FieldType, rows: usize) {
    let empty = build(std::slice::from_ref(given), &[]);
    let case = empty.fields.iter().map(|empty| std::mem::discriminant(&empty.values)).next();
    assert!(case == Some(std::mem::discriminant(&field.values)), "a column of another type than {given:?}");
    let length = match &field.values {
        Values::Same(_) => rows,
        Values::Bools(bits) => check_bitmap(bits, rows),
        Values::Int8s(values) => values.len(),
        Values::Int16s(values) => values.len(),
        Values::Int32s(values) => values.len(),
        Values::Int64s(values) => values.len(),
        Values::Uint8s(values) => values.len(),
        Values::Uint16s(values) => values.len(),
        Values::Uint32s(values) => values.len(),
        Values::Uint64s(values) => values.len(),
        Values::Float32s(values) => values.len(),
        Values::Float64s(values) => values.len(),
        Values::Decimals(words) => words.len() / 2,
        Values::Strings(column) => column.len(),
        Values::Lists((offsets, number)) => {
            let elements = offsets.last().map_or(0, |&end| end as usize);
            let rising = offsets.first() == Some(&0) && offsets.is_sorted();
            assert!(rising, "offsets of lists that do not start at 0 and rise: {given:?}");
            if let DataType::List(element) = given.data_type {
                check(child(children, *number, given), children, element, elements);
            }
            offsets.len() - 1
        }
        Values::Structs(numbers) => {
            if let DataType::Struct(members) = given.data_type {
                assert!(numbers.len() == members.len(), "a struct with other members: {given:?}");
                for (number, member) in numbers.iter().zip(members) {
                    check(child(children, *number, given), children, member, rows);
                }
            }
            rows
        }
    };
    assert!(length == rows, "a column of {length} values for {rows} rows: {given:?}");
    if let Some(validity) = &field.validity {
        assert!(given.nullable, "a validity for a field that always has a value: {given:?}");
        assert!(check_bitmap(validity, rows) == rows, "a validity of another length: {given:?}");
    }
}

fn child<'c>(children: &'c [Field], number: u32, given: &FieldType) -> &'c Field {
    let child = children.get(number as usize);
    assert!(child.is_some(), "no child {number} for {given:?}");
    child.unwrap_or(&NO_FIELD)
}

/// Stands for a child that is missing, which was reported.
static NO_FIELD: Field = Field { values: Values::Same(0), validity: None };

/// Returns `rows`, if the bitmap is one of so many rows and its last bits are zero.
fn check_bitmap(bits: &[u8], rows: usize) -> usize {
    let clear = (rows..bits.len() * 8).all(|row| !bit(bits, row));
    if clear && bits.len() == rows.div_ceil(8) { rows } else { bits.len() * 8 }
}
