use std::sync::Arc;

use sage_batch::fields::{Cell, DataType, Schema, Table};

use crate::error::{FieldError, Reason};
use crate::json::{Printer, not_finite, put_json, put_time};
use crate::scan::Open;
use crate::{number, put};

/// Prints rows as CSV by RFC 4180: the fields in the order of the schema, quotes around a cell only where it needs
/// them, an empty cell where a row has no value. A list or a struct is its JSON text. No line end is added.
#[derive(Debug)]
pub struct CsvWriter {
    schema: Arc<Schema>,
    cell: Vec<u8>,
    open: Open,
    printer: Printer,
}

impl CsvWriter {
    /// A writer for tables of `schema`.
    #[must_use]
    pub fn new(schema: &Arc<Schema>) -> Self {
        Self { schema: Arc::clone(schema), cell: Vec::new(), open: Open::default(), printer: Printer::default() }
    }

    /// Appends the names of the fields.
    pub fn write_header(&self, out: &mut Vec<u8>) {
        let alone = self.schema.fields().len() == 1;
        for (at, field) in self.schema.fields().iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            put_quoted(field.name.as_bytes(), alone, out);
        }
    }

    /// Appends row `row` of `table`, whose schema is the writer's. Numbers that are not finite are `NaN`, `inf`
    /// and `-inf`.
    ///
    /// # Errors
    /// A time is outside the years 0000 to 9999, or the text of a JSON field is not JSON. `out` is then as it was.
    pub fn write_row(&mut self, table: &Table, row: usize, out: &mut Vec<u8>) -> Result<(), FieldError> {
        let len = out.len();
        let written = self.cells(table, row, out);
        if written.is_err() {
            out.truncate(len);
        }
        written
    }

    fn cells(&mut self, table: &Table, row: usize, out: &mut Vec<u8>) -> Result<(), FieldError> {
        let same = Arc::ptr_eq(table.schema(), &self.schema) || **table.schema() == *self.schema;
        if !same || row >= table.len() {
            return Err(FieldError { field: None, reason: Reason::Table, place: None });
        }
        let alone = self.schema.fields().len() == 1;
        for (at, (field, column)) in self.schema.fields().iter().zip(table.fields()).enumerate() {
            if at > 0 {
                out.push(b',');
            }
            let value = column.cell(row).unwrap_or(Cell::Null);
            self.cell.clear();
            let text = match (value, &field.data_type) {
                (Cell::Bytes(text), DataType::String) => text,
                (Cell::List { .. } | Cell::Struct, data_type) => {
                    self.printer
                        .put(column, row, data_type, &mut self.cell)
                        .map_err(|fault| fault.of_field(&field.name))?;
                    self.cell.as_slice()
                }
                _ => {
                    put_cell(value, &field.data_type, &mut self.open, &mut self.cell)
                        .map_err(|reason| FieldError::without_place(&field.name, reason))?;
                    self.cell.as_slice()
                }
            };
            put_quoted(text, alone, out);
        }
        Ok(())
    }
}

fn put_cell(cell: Cell<'_>, data_type: &DataType, open: &mut Open, out: &mut Vec<u8>) -> Result<(), Reason> {
    match (cell, data_type) {
        // A list or a struct is printed as JSON.
        (Cell::Null | Cell::List { .. } | Cell::Struct, _) => {}
        (Cell::Bool(value), _) => out.extend_from_slice(if value { b"true" } else { b"false" }),
        (Cell::Signed(value), DataType::Timestamp | DataType::Date) => put_time(value, data_type, out)?,
        (Cell::Signed(value), _) => out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes()),
        (Cell::Unsigned(value), _) => out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes()),
        (Cell::F64(value), _) if value.is_finite() => {
            out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
        }
        (Cell::F32(value), _) if value.is_finite() => {
            out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
        }
        (Cell::F64(value), _) => out.extend_from_slice(not_finite(value).as_bytes()),
        (Cell::F32(value), _) => out.extend_from_slice(not_finite(value.into()).as_bytes()),
        (Cell::Decimal(value), DataType::Decimal { scale, .. }) => number::print_decimal(value, *scale, out),
        (Cell::Decimal(value), _) => number::print_decimal(value, 0, out),
        (Cell::Bytes(bytes), DataType::Bytes) => put::print_base64(bytes, out),
        (Cell::Bytes(text), DataType::Json) => put_json(text, open, out)?,
        (Cell::Bytes(text), _) => out.extend_from_slice(text),
    }
    Ok(())
}

/// Appends a cell, in quotes if it contains a comma, a quote, or a line end. A cell that is `alone` in its row has
/// quotes also if it is empty, because readers skip an empty line.
fn put_quoted(text: &[u8], alone: bool, out: &mut Vec<u8>) {
    let special = |byte: &u8| matches!(byte, b',' | b'"' | b'\n' | b'\r');
    let quotes = text.iter().any(special) || alone && text.is_empty();
    if !quotes {
        return out.extend_from_slice(text);
    }
    out.push(b'"');
    for part in text.split_inclusive(|&byte| byte == b'"') {
        out.extend_from_slice(part);
        if part.ends_with(b"\"") {
            out.push(b'"');
        }
    }
    out.push(b'"');
}
