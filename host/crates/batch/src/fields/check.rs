use super::field_column::decimal;
use super::{DataType, FieldType, Input, MalformedTable, Problem, RawField, RawTable, RawValues, Schema};
use crate::{Malformed, check_bitmap, check_offsets};

/// Checks a table from an untrusted sender against its schema. `Same` is checked against `input`.
pub(super) fn check_table(
    schema: &Schema,
    raw: &RawTable<'_>,
    rows: usize,
    input: Option<Input<'_>>,
) -> Result<(), MalformedTable> {
    let (found, expected) = (raw.fields.len(), schema.fields().len());
    if found != expected {
        return Err(MalformedTable::FieldCount { found, expected });
    }
    let mut children = Children { all: &raw.children, used: vec![false; raw.children.len()] };
    for (field, raw) in schema.fields().iter().zip(&raw.fields) {
        let checked = match raw.values {
            RawValues::Same(number) => check_same(field, raw, number, rows, input),
            _ => check_values(&field.data_type, field.nullable, raw, rows),
        };
        checked.map_err(|problem| named(field.name.clone(), problem))?;
        children.check(field, raw, rows)?;
    }
    match children.used.iter().position(|used| !used) {
        Some(number) => Err(MalformedTable::Unused { number }),
        None => Ok(()),
    }
}

fn named(field: String, problem: Problem) -> MalformedTable {
    MalformedTable::Field { field, problem }
}

/// The columns inside lists and structs, of which each belongs to one field.
struct Children<'a> {
    all: &'a [RawField<'a>],
    used: Vec<bool>,
}

impl<'a> Children<'a> {
    /// Checks the columns inside of a field, which has been checked itself.
    fn check(&mut self, field: &FieldType, raw: &RawField<'_>, rows: usize) -> Result<(), MalformedTable> {
        match (&field.data_type, raw.values) {
            (DataType::List(element), RawValues::Lists(offsets, number)) => {
                let rows = offsets.last().map_or(0, |&end| end as usize);
                let child = self.take(number).map_err(|problem| named(field.name.clone(), problem))?;
                check_child(element.data_type(), element.is_nullable(), child, rows)
                    .map_err(|problem| named(format!("{}[]", field.name), problem))
            }
            (DataType::Struct(members), RawValues::Structs(numbers)) => {
                let (found, expected) = (numbers.len(), members.fields().len());
                if found != expected {
                    return Err(named(field.name.clone(), Problem::Members { found, expected }));
                }
                for (member, number) in members.fields().iter().zip(numbers) {
                    let name = || format!("{}.{}", field.name, member.name);
                    let child = self.take(*number).map_err(|problem| named(name(), problem))?;
                    check_child(&member.data_type, member.nullable, child, rows)
                        .map_err(|problem| named(name(), problem))?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn take(&mut self, number: u32) -> Result<&'a RawField<'a>, Problem> {
        match (self.all.get(number as usize), self.used.get_mut(number as usize)) {
            (Some(child), Some(used)) if !*used => {
                *used = true;
                Ok(child)
            }
            (Some(_), _) => Err(Problem::ChildTwice { number }),
            _ => Err(Problem::ChildOutOfRange { number, children: self.all.len() }),
        }
    }
}

fn check_child(data_type: &DataType, nullable: bool, raw: &RawField<'_>, rows: usize) -> Result<(), Problem> {
    match raw.values {
        RawValues::Same(_) => Err(Problem::SameInside),
        _ => check_values(data_type, nullable, raw, rows),
    }
}

/// Checks a field that was read from a message, without the columns inside.
pub(super) fn check_read(
    name: &str,
    data_type: &DataType,
    nullable: bool,
    raw: &RawField<'_>,
    rows: usize,
) -> Result<(), MalformedTable> {
    check_values(data_type, nullable, raw, rows).map_err(|problem| named(name.to_owned(), problem))
}

fn check_same(
    field: &FieldType,
    raw: &RawField<'_>,
    number: u32,
    rows: usize,
    input: Option<Input<'_>>,
) -> Result<(), Problem> {
    let input = input.ok_or(Problem::NoInput)?;
    let fields = input.schema.fields();
    let source = fields.get(number as usize).ok_or(Problem::SameOutOfRange { found: number, fields: fields.len() })?;
    if raw.validity.is_some() {
        return Err(Problem::SameValidity);
    }
    if source.data_type != field.data_type {
        return Err(Problem::SameType {
            input: source.name.clone(),
            found: source.data_type.clone(),
            expected: field.data_type.clone(),
        });
    }
    let has_nulls = input.nulls.get(number as usize).copied().unwrap_or(source.nullable);
    if has_nulls && !field.nullable {
        return Err(Problem::SameNulls { input: source.name.clone() });
    }
    if input.rows != rows {
        return Err(Problem::SameRows { found: rows, expected: input.rows });
    }
    Ok(())
}

fn check_values(data_type: &DataType, nullable: bool, raw: &RawField<'_>, rows: usize) -> Result<(), Problem> {
    let expected = data_type.storage();
    if let Some(found) = raw.values.storage().filter(|found| *found != expected) {
        return Err(Problem::Storage { found, expected });
    }
    if let Some(validity) = raw.validity {
        if !nullable {
            return Err(Problem::NotNullable);
        }
        check_bitmap("validity", validity, rows)?;
    }
    let found = match raw.values {
        RawValues::Same(_) | RawValues::Structs(_) => rows,
        RawValues::Bools(bits) => {
            check_bitmap("values", bits, rows)?;
            rows
        }
        RawValues::S8(values) => values.len(),
        RawValues::S16(values) => values.len(),
        RawValues::S32(values) => values.len(),
        RawValues::S64(values) => values.len(),
        RawValues::U8(values) => values.len(),
        RawValues::U16(values) => values.len(),
        RawValues::U32(values) => values.len(),
        RawValues::U64(values) => values.len(),
        RawValues::F32(values) => values.len(),
        RawValues::F64(values) => values.len(),
        RawValues::Decimals(words) => match words.len().is_multiple_of(2) {
            true => words.len() / 2,
            false => return Err(Problem::HalfDecimal { words: words.len() }),
        },
        RawValues::Strings(offsets, bytes) => check_offsets("values", offsets, bytes.len())?,
        // The elements are counted when they are checked.
        RawValues::Lists(offsets, _) => {
            check_offsets("values", offsets, offsets.last().map_or(0, |&end| end as usize))?
        }
    };
    if found != rows {
        return Err(Problem::Rows { found, expected: rows });
    }
    match (data_type, raw.values) {
        (DataType::Decimal { precision, .. }, RawValues::Decimals(words)) => {
            check_decimals(*precision, words, raw.validity)
        }
        (text, RawValues::Strings(offsets, bytes)) if text.is_text() => Ok(check_utf8(offsets, bytes)?),
        _ => Ok(()),
    }
}

/// Checks that each row is UTF-8. Rows without a value count too: the bytes are checked as a whole, and then no
/// row may begin inside a character.
fn check_utf8(offsets: &[u32], bytes: &[u8]) -> Result<(), Malformed> {
    let inside = |&offset: &u32| bytes.get(offset as usize).is_some_and(|byte| byte & 0xc0 == 0x80);
    match simdutf8::basic::from_utf8(bytes) {
        Ok(_) if bytes.is_ascii() || !offsets.iter().any(inside) => Ok(()),
        _ => {
            let column = offsets.windows(2).position(|pair| match *pair {
                [start, end] => bytes.get(start as usize..end as usize).is_none_or(|row| str::from_utf8(row).is_err()),
                _ => false,
            });
            Err(Malformed::NotUtf8 { column: "values", index: column.unwrap_or(0) })
        }
    }
}

/// Checks that each decimal that is a value has at most `precision` digits.
fn check_decimals(precision: u8, words: &[u64], validity: Option<&[u8]>) -> Result<(), Problem> {
    let limit = 10u128.pow(u32::from(precision.min(38)));
    for (row, pair) in words.chunks_exact(2).enumerate() {
        let found = decimal(pair);
        if found.unsigned_abs() >= limit && validity.is_none_or(|bits| crate::Bitmap::new(bits).get(row)) {
            return Err(Problem::Decimal { row, found, precision });
        }
    }
    Ok(())
}
