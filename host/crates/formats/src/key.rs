//! Keys of records, made from their fields.
//!
//! A key of one field is the text of its value. A composite key is its parts in order, each with its length in front:
//! four bytes, the low byte first. Two lists of parts are therefore equal exactly if their composite keys are. Both
//! forms are part of the contract, because keyed state is stored under its key; `wit/keys.json` has examples.

use std::borrow::Cow;
use std::sync::Arc;

use sage_batch::fields::{Cell, DataType, Schema, Table};
use thiserror::Error;

use crate::json::{one_value, put_time};
use crate::number;
use crate::scan::Open;

/// Makes the keys of records from fields.
#[derive(Debug)]
pub struct KeyWriter {
    fields: Vec<String>,
    composite: bool,
    null_key: Option<Vec<u8>>,
    /// The positions of the fields in tables of this schema.
    known: Option<(Arc<Schema>, Vec<Option<usize>>)>,
    open: Open,
}

/// The reason why a record has no key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("field \"{field}\" of the key {reason}")]
pub struct KeyError {
    /// Name of the field.
    pub field: String,
    /// The reason, in words.
    pub reason: Cow<'static, str>,
}

impl KeyWriter {
    /// A writer for keys of these fields. `null_key` stands for a field without a value.
    #[must_use]
    pub fn new(fields: Vec<String>, composite: bool, null_key: Option<String>) -> Self {
        Self { fields, composite, null_key: null_key.map(String::into_bytes), known: None, open: Open::default() }
    }

    /// Appends the key of row `row` of `table`.
    ///
    /// # Errors
    /// The row has no key. `out` is then as it was.
    pub fn write(&mut self, table: &Table, row: usize, out: &mut Vec<u8>) -> Result<(), KeyError> {
        let len = out.len();
        self.find(table.schema());
        let positions = self.known.as_ref().map_or(&[][..], |(_, positions)| positions);
        for (field, &at) in self.fields.iter().zip(positions) {
            let written = part(table, at, row, self.null_key.as_deref(), self.composite, &mut self.open, out);
            if let Err(reason) = written {
                out.truncate(len);
                return Err(KeyError { field: field.clone(), reason });
            }
        }
        Ok(())
    }

    fn find(&mut self, schema: &Arc<Schema>) {
        if self.known.as_ref().is_some_and(|(known, _)| Arc::ptr_eq(known, schema)) {
            return;
        }
        let positions = self.fields.iter().map(|field| schema.position(field)).collect();
        self.known = Some((Arc::clone(schema), positions));
    }
}

/// Appends one part of a key, in a composite key with its length.
fn part(
    table: &Table,
    at: Option<usize>,
    row: usize,
    null_key: Option<&[u8]>,
    composite: bool,
    open: &mut Open,
    out: &mut Vec<u8>,
) -> Result<(), Cow<'static, str>> {
    let found = at.and_then(|at| Some((table.cell(at, row)?, table.schema().fields().get(at)?)));
    let (cell, field) = found.ok_or("is missing")?;
    let start = out.len();
    if composite {
        out.extend_from_slice(&[0; 4]);
    }
    let begin = out.len();
    let value = match (cell, &field.data_type) {
        (Cell::Bytes(text), DataType::Json) => one_value(text, open).map_err(|reason| reason.to_string())?,
        _ => &[],
    };
    match (cell, null_key) {
        (Cell::Null, None) => return Err("is null, and the input has no null_key".into()),
        (Cell::Null, Some(null_key)) => out.extend_from_slice(null_key),
        (Cell::Bytes(_), None) if value == b"null" => return Err("is null, and the input has no null_key".into()),
        (Cell::Bytes(_), Some(null_key)) if value == b"null" => out.extend_from_slice(null_key),
        (Cell::Bytes(_), _) if !value.is_empty() => put_json(value, out)?,
        _ => put_cell(cell, &field.data_type, out)?,
    }
    if composite {
        let bytes = u32::try_from(out.len() - begin).map_err(|_| "is longer than 4 GiB")?;
        if let Some(length) = out.get_mut(start..begin) {
            length.copy_from_slice(&bytes.to_le_bytes());
        }
    }
    Ok(())
}

/// Appends a value that is not null as its text.
fn put_cell(cell: Cell<'_>, data_type: &DataType, out: &mut Vec<u8>) -> Result<(), Cow<'static, str>> {
    match cell {
        Cell::Null => {}
        Cell::Bool(value) => out.extend_from_slice(if value { b"true" } else { b"false" }),
        Cell::Signed(value) if matches!(data_type, DataType::Timestamp | DataType::Date) => {
            put_time(value, data_type, out).map_err(|reason| reason.to_string())?;
        }
        Cell::Signed(value) => out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes()),
        Cell::Unsigned(value) => out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes()),
        Cell::Decimal(value) => {
            let scale = if let DataType::Decimal { scale, .. } = data_type { *scale } else { 0 };
            number::print_decimal(value, scale, out);
        }
        Cell::Bytes(bytes) => out.extend_from_slice(bytes),
        Cell::F32(_) | Cell::F64(_) => return Err("is a number with a fraction, which is no key".into()),
        Cell::List { .. } | Cell::Struct => return Err("is a list or a struct, which is no key".into()),
    }
    Ok(())
}

/// Appends a JSON value that is not null as its text: a string without quotes and escapes, an integer, `true` or
/// `false`.
fn put_json(value: &[u8], out: &mut Vec<u8>) -> Result<(), Cow<'static, str>> {
    match value.first() {
        Some(b'"') if !value.contains(&b'\\') => {
            out.extend_from_slice(value.get(1..value.len() - 1).unwrap_or_default());
        }
        Some(b'"') => match serde_json::from_slice::<String>(value) {
            Ok(text) => out.extend_from_slice(text.as_bytes()),
            Err(error) => return Err(format!("is no text: {error}").into()),
        },
        Some(b'{') => return Err("is an object, which is no key".into()),
        Some(b'[') => return Err("is an array, which is no key".into()),
        _ if value == b"-0" => out.push(b'0'),
        _ if value.first().is_some_and(|byte| byte.is_ascii_digit() || *byte == b'-')
            && value.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E')) =>
        {
            return Err("is a number with a point or an exponent, which is no key".into());
        }
        _ => out.extend_from_slice(value),
    }
    Ok(())
}

#[cfg(test)]
#[path = "key_tests.rs"]
mod tests;
