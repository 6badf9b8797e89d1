//! Records in JSON as cells, by the rules of a host and in its words. A message lacks the place within the record.
//! `wit/values.json` has examples that the host and this module test.

use std::fmt;

use serde_json::{Map, Number, Value};

use super::columns::{Cell, Scalar, cell};
use super::{base64, instants};
use crate::fields::{DataType, FieldType, Table};

/// A record: its fields in order, each with its value as JSON text.
#[derive(Debug, Clone, Default)]
pub(super) struct Object(Vec<(String, String)>);

impl Object {
    /// Sets a field, in its place if the record has it.
    fn set(&mut self, name: &str, text: String) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = text,
            None => self.0.push((name.to_owned(), text)),
        }
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let field = |(name, text): &(String, String)| format!("{}:{text}", Value::from(name.as_str()));
        write!(f, "{{{}}}", self.0.iter().map(field).collect::<Vec<_>>().join(","))
    }
}

/// Reads a record: the object, and one cell for each of `fields`.
pub(super) fn read(text: &str, fields: &[FieldType]) -> Result<(Object, Vec<Cell>), String> {
    let record: Map<String, Value> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let cells = fields.iter().map(|field| value_of(field.name, field, record.get(field.name)));
    let cells = cells.collect::<Result<_, String>>()?;
    Ok((Object(record.iter().map(|(name, value)| (name.clone(), value.to_string())).collect()), cells))
}

/// Reads the value of a field, an element or a member. `path` names it in messages.
fn value_of(path: &str, field: &FieldType, value: Option<&Value>) -> Result<Cell, String> {
    let value = match value {
        None | Some(Value::Null) if field.nullable => return Ok(None),
        None => return Err(format!("field {path:?} is missing")),
        Some(Value::Null) => return Err(format!("field {path:?} is null")),
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
    if let Some(inside) = inside {
        return Ok(Some(Scalar::Inside(inside)));
    }
    scalar(field.data_type, value)
        .map(Some)
        .map_err(|bad| format!("field {path:?} {}", bad.words(field.data_type, value)))
}

/// The rule that a value breaks.
enum Bad {
    Kind,
    Form,
    Range,
}

impl Bad {
    fn words(&self, data_type: DataType, value: &Value) -> String {
        const SHOWN: usize = 40;
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let mut shown: String = text.chars().take(SHOWN).collect();
        if shown.len() < text.len() {
            shown.push('…');
        }
        let name = type_name(data_type);
        match self {
            Self::Kind => {
                let found = match value {
                    Value::String(_) => "a string",
                    Value::Array(_) => "an array",
                    Value::Object(_) => "an object",
                    Value::Bool(true) => "true",
                    Value::Bool(false) => "false",
                    _ => "a number",
                };
                format!("is {found}, not {}", if let DataType::Struct(_) = data_type { "struct" } else { &name })
            }
            Self::Form => format!("is {shown:?}, which is no {name}: {}", form_of(data_type)),
            Self::Range => format!("is {shown}, which is out of the range of {name}"),
        }
    }
}

/// The type as in a schema, with its parameters.
fn type_name(data_type: DataType) -> String {
    match data_type {
        DataType::Decimal { precision, scale } => format!("decimal({precision}, {scale})"),
        DataType::List(element) => {
            format!("list<{}{}>", type_name(element.data_type), if element.nullable { "?" } else { "" })
        }
        _ => data_type.name().to_owned(),
    }
}

/// The form of the values of a type, in words.
fn form_of(data_type: DataType) -> &'static str {
    match data_type {
        DataType::Timestamp => "RFC 3339 with a zone, as 2026-01-31T23:59:59.5Z",
        DataType::Date => "a day of the calendar, as 2026-01-31",
        DataType::Decimal { .. } => "it must be exact with the digits of the type",
        DataType::Bytes => "base64 with padding",
        _ => "an integer, without point or exponent",
    }
}

fn scalar(data_type: DataType, value: &Value) -> Result<Scalar, Bad> {
    let integer = |least: i128, most: i128| {
        let Value::Number(number) = value else { return Err(Bad::Kind) };
        let integer = number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
        // Beyond 64 bits, serde_json has a float without a point in its text.
        let integer =
            integer.ok_or(if number.to_string().contains(['.', 'e', 'E']) { Bad::Form } else { Bad::Range })?;
        if (least..=most).contains(&integer) { Ok(Scalar::Integer(integer)) } else { Err(Bad::Range) }
    };
    let text = || value.as_str().ok_or(Bad::Kind);
    match data_type {
        DataType::Bool => value.as_bool().map(Scalar::Bool).ok_or(Bad::Kind),
        DataType::S8 => integer(i8::MIN.into(), i8::MAX.into()),
        DataType::S16 => integer(i16::MIN.into(), i16::MAX.into()),
        DataType::S32 => integer(i32::MIN.into(), i32::MAX.into()),
        DataType::S64 => integer(i64::MIN.into(), i64::MAX.into()),
        DataType::U8 => integer(0, u8::MAX.into()),
        DataType::U16 => integer(0, u16::MAX.into()),
        DataType::U32 => integer(0, u32::MAX.into()),
        DataType::U64 => integer(0, u64::MAX.into()),
        DataType::F32 => match value.as_f64().ok_or(Bad::Kind)? {
            float if (float as f32).is_finite() => Ok(Scalar::Float(float)),
            _ => Err(Bad::Range),
        },
        DataType::F64 => value.as_f64().map(Scalar::Float).ok_or(Bad::Kind),
        DataType::Timestamp => {
            instants::microseconds(text()?).map(|instant| Scalar::Integer(instant.into())).ok_or(Bad::Form)
        }
        DataType::Date => instants::days(text()?).map(|day| Scalar::Integer(day.into())).ok_or(Bad::Form),
        DataType::Decimal { precision, scale } => {
            let Value::Number(number) = value else { return Err(Bad::Kind) };
            decimal(&number.to_string(), precision, scale)
        }
        DataType::Text => Ok(Scalar::Bytes(text()?.as_bytes().to_vec())),
        DataType::Bytes => base64::decode(text()?).map(Scalar::Bytes).ok_or(Bad::Form),
        DataType::JsonText => Ok(Scalar::Bytes(value.to_string().into_bytes())),
        DataType::List(_) | DataType::Struct(_) => Err(Bad::Kind),
    }
}

/// Reads a decimal of digits with at most one point.
fn decimal(text: &str, precision: u8, scale: u8) -> Result<Scalar, Bad> {
    let (whole, behind) = text.split_once('.').unwrap_or((text, ""));
    let (kept, more) = behind.split_at(behind.len().min(scale.into()));
    if more.bytes().any(|digit| digit != b'0') {
        return Err(Bad::Form);
    }
    let zeros = "0".repeat(usize::from(scale) - kept.len());
    let number: i128 = format!("{whole}{kept}{zeros}").parse().map_err(|_| Bad::Range)?;
    let fits = number.unsigned_abs() < 10_u128.pow(precision.into());
    if fits { Ok(Scalar::Integer(number)) } else { Err(Bad::Range) }
}

/// Adds the fields of a row to a record.
pub(super) fn write(mut record: Object, fields: &[FieldType], table: &Table, row: usize) -> Object {
    for (field, column) in fields.iter().zip(&table.fields) {
        record.set(field.name, value(field.data_type, cell(column, &table.children, row)));
    }
    record
}

/// The JSON text of a cell.
fn value(data_type: DataType, cell: Cell) -> String {
    let Some(scalar) = cell else { return "null".to_owned() };
    match (data_type, scalar) {
        (DataType::List(element), Scalar::Inside(elements)) => {
            let elements = elements.into_iter().map(|cell| value(element.data_type, cell));
            format!("[{}]", elements.collect::<Vec<_>>().join(","))
        }
        (DataType::Struct(fields), Scalar::Inside(members)) => {
            let members = fields.iter().zip(members);
            let members = members.map(|(field, cell)| (field.name.to_owned(), value(field.data_type, cell)));
            Object(members.collect()).to_string()
        }
        (_, Scalar::Inside(_)) => "null".to_owned(),
        (_, Scalar::Bool(value)) => value.to_string(),
        (_, Scalar::Float(float)) => Number::from_f64(float)
            .map_or_else(|| Value::from(float.to_string()).to_string(), |float| float.to_string()),
        (DataType::Timestamp, Scalar::Integer(instant)) => Value::from(instants::timestamp(instant as i64)).to_string(),
        (DataType::Date, Scalar::Integer(day)) => Value::from(instants::date(day as i64)).to_string(),
        (DataType::Decimal { scale, .. }, Scalar::Integer(number)) => {
            let digits = format!("{:0width$}", number.unsigned_abs(), width = usize::from(scale) + 1);
            let (whole, behind) = digits.split_at(digits.len() - usize::from(scale));
            let sign = if number < 0 { "-" } else { "" };
            let point = if behind.is_empty() { "" } else { "." };
            format!("{sign}{whole}{point}{behind}")
        }
        (_, Scalar::Integer(integer)) => integer.to_string(),
        (DataType::JsonText, Scalar::Bytes(bytes)) => String::from_utf8_lossy(&bytes).into_owned(),
        (DataType::Bytes, Scalar::Bytes(bytes)) => Value::from(base64::encode(&bytes)).to_string(),
        (_, Scalar::Bytes(bytes)) => Value::from(String::from_utf8_lossy(&bytes)).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::{Object, read, write};
    use crate::fields::{DataType, FieldType};
    use crate::testing::columns::build;

    /// A field of a type as the contract's examples name it.
    fn field(name: &'static str, data_type: &str) -> FieldType {
        let (plain, nullable) = data_type.strip_suffix('?').map_or((data_type, false), |plain| (plain, true));
        let scalars = [
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
            DataType::Text,
            DataType::Bytes,
            DataType::JsonText,
        ];
        let inside = |open: &str, close| plain.strip_prefix(open).and_then(|rest| rest.strip_suffix(close));
        let data_type = if let Some(element) = inside("list<", ">") {
            DataType::List(Box::leak(Box::new(field("", element))))
        } else if let Some((precision, scale)) = inside("decimal(", ")").and_then(|digits| digits.split_once(", ")) {
            DataType::Decimal { precision: precision.parse().unwrap(), scale: scale.parse().unwrap() }
        } else {
            scalars.into_iter().find(|data_type| data_type.name() == plain).unwrap()
        };
        FieldType { name, data_type, nullable, docs: "" }
    }

    #[test]
    fn values_are_read_printed_and_refused_as_in_the_examples_of_the_contract() {
        let examples: Value = serde_json::from_str(include_str!("../../wit/values.json")).unwrap();
        let cases = |which: &str| examples[which].as_array().unwrap().clone();
        for case in cases("read").iter().chain(&cases("refused")) {
            let fields = [field("x", case["type"].as_str().unwrap())];
            let record = format!("{{\"x\":{}}}", case["json"].as_str().unwrap());
            let found = read(&record, &fields).map(|(_, cells)| {
                let table = build(&fields, &[cells]);
                write(Object::default(), &fields, &table, 0).to_string()
            });
            match case["printed"].as_str() {
                Some(printed) => assert_eq!(found.unwrap(), format!("{{\"x\":{printed}}}"), "{case}"),
                None => assert_eq!(found.unwrap_err(), case["message"].as_str().unwrap(), "{case}"),
            }
        }
    }
}
