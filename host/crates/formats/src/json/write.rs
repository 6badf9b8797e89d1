use std::sync::Arc;

use sage_batch::fields::{Cell, DataType, Schema, Table};

use super::read::DEPTH;
use crate::error::{FieldError, Reason};
use crate::scan::{self, Open};
use crate::{number, put, time};

/// Prints rows as JSON objects: the fields in the order of the schema, the shortest number that reads back as the
/// same, `null` where a row has no value. No line end is added.
#[derive(Debug)]
pub struct JsonWriter {
    schema: Arc<Schema>,
    /// The text before each value: `{"name":`, then `,"name":`.
    prefixes: Vec<Vec<u8>>,
    open: Open,
}

impl JsonWriter {
    /// A writer for tables of `schema`.
    #[must_use]
    pub fn new(schema: &Arc<Schema>) -> Self {
        let prefixes = schema.fields().iter().enumerate().map(|(at, field)| {
            let mut prefix = vec![if at == 0 { b'{' } else { b',' }];
            put_string(field.name.as_bytes(), &mut prefix);
            prefix.push(b':');
            prefix
        });
        Self { schema: Arc::clone(schema), prefixes: prefixes.collect(), open: Open::default() }
    }

    /// Appends row `row` of `table`, whose schema is the writer's.
    ///
    /// # Errors
    /// JSON cannot express a value: a number that is not finite, a time outside the years 0000 to 9999, or a field
    /// of JSON whose text is none. `out` is then as it was.
    pub fn write_row(&mut self, table: &Table, row: usize, out: &mut Vec<u8>) -> Result<(), FieldError> {
        let len = out.len();
        let written = self.fields(table, row, out);
        if written.is_err() {
            out.truncate(len);
        }
        written
    }

    /// Appends row `row` of `table` for people. A value that JSON cannot express becomes a string, or `null` if it has
    /// no text either.
    pub fn write_row_anyhow(&mut self, table: &Table, row: usize, out: &mut Vec<u8>) {
        out.push(b'{');
        for (at, (field, column)) in table.schema().fields().iter().zip(table.fields()).enumerate() {
            if at > 0 {
                out.push(b',');
            }
            put_string(field.name.as_bytes(), out);
            out.push(b':');
            let (cell, len) = (column.cell(row).unwrap_or(Cell::Null), out.len());
            if put_cell(cell, field.data_type, &mut self.open, out).is_err() {
                out.truncate(len);
                match cell {
                    Cell::F32(value) => put_string(value.to_string().as_bytes(), out),
                    Cell::F64(value) => put_string(value.to_string().as_bytes(), out),
                    Cell::Signed(value) => put_string(value.to_string().as_bytes(), out),
                    Cell::Bytes(text) => put_string(String::from_utf8_lossy(text).as_bytes(), out),
                    _ => out.extend_from_slice(b"null"),
                }
            }
        }
        out.push(b'}');
    }

    #[inline]
    fn fields(&mut self, table: &Table, row: usize, out: &mut Vec<u8>) -> Result<(), FieldError> {
        let same = Arc::ptr_eq(table.schema(), &self.schema) || **table.schema() == *self.schema;
        if !same || row >= table.len() {
            return Err(FieldError { field: None, reason: Reason::Table, place: None });
        }
        if self.prefixes.is_empty() {
            out.push(b'{');
        }
        for ((prefix, field), column) in self.prefixes.iter().zip(self.schema.fields()).zip(table.fields()) {
            out.extend_from_slice(prefix);
            let cell = column.cell(row).unwrap_or(Cell::Null);
            put_cell(cell, field.data_type, &mut self.open, out)
                .map_err(|reason| FieldError::without_place(&field.name, reason))?;
        }
        out.push(b'}');
        Ok(())
    }
}

#[inline]
pub(super) fn put_cell(cell: Cell<'_>, data_type: DataType, open: &mut Open, out: &mut Vec<u8>) -> Result<(), Reason> {
    match (cell, data_type) {
        (Cell::Null, _) => out.extend_from_slice(b"null"),
        (Cell::Bool(true), _) => out.extend_from_slice(b"true"),
        (Cell::Bool(false), _) => out.extend_from_slice(b"false"),
        (Cell::Signed(value), DataType::Timestamp | DataType::Date) => {
            out.push(b'"');
            put_time(value, data_type, out)?;
            out.push(b'"');
        }
        (Cell::Signed(value), _) => out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes()),
        (Cell::Unsigned(value), _) => out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes()),
        (Cell::F64(value), _) if value.is_finite() => {
            out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
        }
        (Cell::F32(value), _) if value.is_finite() => {
            out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
        }
        (Cell::F64(value), _) => return Err(Reason::NotFinite(not_finite(value))),
        (Cell::F32(value), _) => return Err(Reason::NotFinite(not_finite(value.into()))),
        (Cell::Decimal(value), DataType::Decimal { scale, .. }) => number::print_decimal(value, scale, out),
        (Cell::Decimal(value), _) => number::print_decimal(value, 0, out),
        (Cell::Bytes(bytes), DataType::Bytes) => {
            out.push(b'"');
            put::print_base64(bytes, out);
            out.push(b'"');
        }
        (Cell::Bytes(text), DataType::Json) => put_json(text, open, out)?,
        (Cell::Bytes(text), _) => put_string(text, out),
    }
    Ok(())
}

/// Appends a time without quotes.
pub(crate) fn put_time(value: i64, data_type: DataType, out: &mut Vec<u8>) -> Result<(), Reason> {
    let printed = match data_type {
        DataType::Date => i32::try_from(value).ok().and_then(|days| time::print_date(days, out)),
        _ => time::print_timestamp(value, out),
    };
    printed.ok_or(Reason::Year(data_type))
}

/// The name of a number that is not finite.
pub(crate) fn not_finite(value: f64) -> &'static str {
    match value {
        _ if value.is_nan() => "NaN",
        _ if value < 0.0 => "-inf",
        _ => "inf",
    }
}

/// The text of the one value in `text`, without the white space around it.
pub(crate) fn one_value<'a>(text: &'a [u8], open: &mut Open) -> Result<&'a [u8], Reason> {
    let start = scan::space(text, 0);
    let end = scan::value(text, start, open).ok_or(Reason::NotJson)?;
    if scan::space(text, end) != text.len() {
        return Err(Reason::NotJson);
    }
    if open.deepest + 1 > DEPTH {
        return Err(Reason::Depth { limit: DEPTH });
    }
    Ok(text.get(start..end).unwrap_or_default())
}

/// Appends a text of JSON in one line, if it is one value: the text may come from a guest.
pub(crate) fn put_json(text: &[u8], open: &mut Open, out: &mut Vec<u8>) -> Result<(), Reason> {
    // A line end can only be white space, because a string does not contain one.
    let line_end = |byte: u8| matches!(byte, b'\n' | b'\r');
    out.extend(one_value(text, open)?.iter().map(|&byte| if line_end(byte) { b' ' } else { byte }));
    Ok(())
}

/// Appends a string with quotes and escapes. `text` is UTF-8.
#[inline]
fn put_string(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = text;
    while let Some((plain, special, after)) =
        scan::special(rest, 0).and_then(|at| Some((rest.get(..at)?, *rest.get(at)?, rest.get(at + 1..)?)))
    {
        out.extend_from_slice(plain);
        put_escape(special, out);
        rest = after;
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

#[cold]
fn put_escape(byte: u8, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let short = match byte {
        b'"' | b'\\' => byte,
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0x08 => b'b',
        0x0c => b'f',
        _ => {
            out.extend_from_slice(b"\\u00");
            out.extend([byte >> 4, byte & 15].map(|half| HEX.get(usize::from(half)).copied().unwrap_or(b'0')));
            return;
        }
    };
    out.extend([b'\\', short]);
}
