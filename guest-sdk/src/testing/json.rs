//! Records in JSON as cells, by the rules of a host.

use serde_json::{Map, Number, Value};

use super::columns::{Cell, Scalar, cell};
use super::instants;
use crate::fields::{DataType, FieldType, Table};

/// Reads a record: the object, and one cell for each of `fields`.
pub(super) fn read(text: &str, fields: &[FieldType]) -> Result<(Map<String, Value>, Vec<Cell>), String> {
    let record: Map<String, Value> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let cells = fields.iter().map(|field| value_of(field.name, field, record.get(field.name)));
    let cells = cells.collect::<Result<_, String>>()?;
    Ok((record, cells))
}

/// Reads the value of a field, an element or a member. `path` names it in messages.
fn value_of(path: &str, field: &FieldType, value: Option<&Value>) -> Result<Cell, String> {
    let value = match value {
        None | Some(Value::Null) if field.nullable => return Ok(None),
        None => return Err(format!("field `{path}` is missing")),
        Some(Value::Null) => return Err(format!("field `{path}` is null")),
        Some(value) => value,
    };
    let inside = match (field.data_type, value) {
        (DataType::List(element), Value::Array(elements)) => {
            let elements = elements.iter().enumerate();
            let read = elements.map(|(at, value)| value_of(&format!("{path}[{at}]"), element, Some(value)));
            Some(read.collect::<Result<_, String>>()?)
        }
        (DataType::Struct(members), Value::Object(object)) => {
            let read = members
                .iter()
                .map(|member| value_of(&format!("{path}.{}", member.name), member, object.get(member.name)));
            Some(read.collect::<Result<_, String>>()?)
        }
        _ => None,
    };
    match inside.map(Scalar::Inside).or_else(|| scalar(field.data_type, value)) {
        Some(scalar) => Ok(Some(scalar)),
        None => Err(format!("field `{path}` is no {}: {value}", field.data_type.name())),
    }
}

fn scalar(data_type: DataType, value: &Value) -> Option<Scalar> {
    let integer = |least: i128, most: i128| {
        let integer = value.as_i64().map(i128::from).or_else(|| value.as_u64().map(i128::from))?;
        (least..=most).contains(&integer).then_some(Scalar::Integer(integer))
    };
    match data_type {
        DataType::Bool => value.as_bool().map(Scalar::Bool),
        DataType::S8 => integer(i8::MIN.into(), i8::MAX.into()),
        DataType::S16 => integer(i16::MIN.into(), i16::MAX.into()),
        DataType::S32 => integer(i32::MIN.into(), i32::MAX.into()),
        DataType::S64 => integer(i64::MIN.into(), i64::MAX.into()),
        DataType::U8 => integer(0, u8::MAX.into()),
        DataType::U16 => integer(0, u16::MAX.into()),
        DataType::U32 => integer(0, u32::MAX.into()),
        DataType::U64 => integer(0, u64::MAX.into()),
        DataType::F32 | DataType::F64 => value.as_f64().map(Scalar::Float),
        DataType::Timestamp => instants::microseconds(value.as_str()?).map(|instant| Scalar::Integer(instant.into())),
        DataType::Date => instants::days(value.as_str()?).map(|day| Scalar::Integer(day.into())),
        DataType::Decimal { precision, scale } => {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            decimal(&text, precision, scale).map(Scalar::Integer)
        }
        DataType::Text => value.as_str().map(|text| Scalar::Bytes(text.as_bytes().to_vec())),
        DataType::JsonText => Some(Scalar::Bytes(value.to_string().into_bytes())),
        DataType::Bytes | DataType::List(_) | DataType::Struct(_) => None,
    }
}

/// Reads a decimal of digits with at most one point.
fn decimal(text: &str, precision: u8, scale: u8) -> Option<i128> {
    let (whole, behind) = text.split_once('.').unwrap_or((text, ""));
    if behind.len() > scale.into() {
        return None;
    }
    let zeros = "0".repeat(usize::from(scale) - behind.len());
    let number: i128 = format!("{whole}{behind}{zeros}").parse().ok()?;
    (number.unsigned_abs() < 10_u128.pow(precision.into())).then_some(number)
}

/// Adds the fields of a row to a record.
pub(super) fn write(
    mut record: Map<String, Value>,
    fields: &[FieldType],
    table: &Table,
    row: usize,
) -> Map<String, Value> {
    for (field, column) in fields.iter().zip(&table.fields) {
        let cell = cell(column, &table.children, row);
        record.insert(field.name.to_owned(), value(field.data_type, cell));
    }
    record
}

fn value(data_type: DataType, cell: Cell) -> Value {
    let Some(scalar) = cell else { return Value::Null };
    match (data_type, scalar) {
        (DataType::List(element), Scalar::Inside(elements)) => {
            elements.into_iter().map(|cell| value(element.data_type, cell)).collect()
        }
        (DataType::Struct(fields), Scalar::Inside(members)) => {
            let members = fields.iter().zip(members);
            members.map(|(field, cell)| (field.name.to_owned(), value(field.data_type, cell))).collect()
        }
        (_, Scalar::Inside(_)) => Value::Null,
        (_, Scalar::Bool(value)) => value.into(),
        (_, Scalar::Float(float)) => {
            Number::from_f64(float).map_or_else(|| Value::String(float.to_string()), Value::Number)
        }
        (DataType::Timestamp, Scalar::Integer(instant)) => instants::timestamp(instant as i64).into(),
        (DataType::Date, Scalar::Integer(day)) => instants::date(day as i64).into(),
        (DataType::Decimal { scale, .. }, Scalar::Integer(number)) => {
            let digits = format!("{:0width$}", number.unsigned_abs(), width = usize::from(scale) + 1);
            let (whole, behind) = digits.split_at(digits.len() - usize::from(scale));
            let sign = if number < 0 { "-" } else { "" };
            let point = if behind.is_empty() { "" } else { "." };
            format!("{sign}{whole}{point}{behind}").into()
        }
        (_, Scalar::Integer(integer)) => i64::try_from(integer).map_or_else(|_| (integer as u64).into(), Value::from),
        (DataType::JsonText, Scalar::Bytes(bytes)) => serde_json::from_slice(&bytes).unwrap_or_default(),
        (_, Scalar::Bytes(bytes)) => String::from_utf8_lossy(&bytes).into_owned().into(),
    }
}
