use std::sync::Arc;

use sage_batch::fields::{Cell, DataType, Schema, Table};

use crate::error::{FieldError, Reason};
use crate::json::{Printer, not_finite, put_json, put_time, unescape};
use crate::scan::Open;
use crate::{OutputField, number, put};

/// The characters that separate and quote cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CsvForm {
    /// Character between cells.
    pub delimiter: u8,
    /// Character around cells that need it.
    pub quote: u8,
}

impl Default for CsvForm {
    fn default() -> Self {
        Self { delimiter: b',', quote: b'"' }
    }
}

/// Prints rows as CSV by RFC 4180: quotes around a cell only where it needs them, and an empty cell where a row has no
/// value. An empty text is two quotes. A list or a struct is its JSON text. No line end is added.
#[derive(Debug)]
pub struct CsvWriter {
    schema: Arc<Schema>,
    fields: Vec<OutputField>,
    form: CsvForm,
    cell: Vec<u8>,
    open: Open,
    printer: Printer,
}

impl CsvWriter {
    /// A writer of all fields of tables of `schema`, with commas.
    #[must_use]
    pub fn new(schema: &Arc<Schema>) -> Self {
        Self::of(schema, OutputField::all(schema), CsvForm::default())
    }

    /// A writer of these fields of tables of `schema`.
    #[must_use]
    pub fn of(schema: &Arc<Schema>, fields: Vec<OutputField>, form: CsvForm) -> Self {
        let (schema, cell) = (Arc::clone(schema), Vec::new());
        Self { schema, fields, form, cell, open: Open::default(), printer: Printer::default() }
    }

    /// Appends the names of the fields.
    pub fn write_header(&self, out: &mut Vec<u8>) {
        write_csv_header(self.fields.iter().map(|field| field.name.as_str()), self.form, out);
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
        let no_field = || FieldError { field: None, reason: Reason::Table, place: None };
        let same = Arc::ptr_eq(table.schema(), &self.schema) || **table.schema() == *self.schema;
        if !same || row >= table.len() {
            return Err(no_field());
        }
        let alone = self.fields.len() == 1;
        for (at, output) in self.fields.iter().enumerate() {
            let field = self.schema.fields().get(output.field).ok_or_else(no_field)?;
            let value = table.cell(output.field, row).unwrap_or(Cell::Null);
            if at > 0 {
                out.push(self.form.delimiter);
            }
            self.cell.clear();
            let text = match (value, &field.data_type) {
                (Cell::Bytes(text), DataType::String) => text,
                (Cell::Bytes(quoted @ [b'"', ..]), DataType::Json) if output.untyped => {
                    unescape(quoted, &mut self.cell)
                        .map_err(|reason| FieldError::without_place(&field.name, reason))?;
                    self.cell.as_slice()
                }
                (Cell::List { .. } | Cell::Struct, data_type) => {
                    let column = table.fields().get(output.field).ok_or_else(no_field)?;
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
            // Of a single column, a null has quotes too: readers skip an empty line. A text that nobody gave a type
            // comes from a cell, and an empty cell stays one.
            let is_cell = output.untyped && field.data_type == DataType::String && !field.nullable;
            let quotes = alone || !(value == Cell::Null || is_cell);
            put_quoted(text, self.form, quotes, at == 0, out);
        }
        Ok(())
    }
}

/// Appends the names of columns as a row.
pub fn write_csv_header<'a>(names: impl IntoIterator<Item = &'a str>, form: CsvForm, out: &mut Vec<u8>) {
    for (at, name) in names.into_iter().enumerate() {
        if at > 0 {
            out.push(form.delimiter);
        }
        put_quoted(name.as_bytes(), form, true, at == 0, out);
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

/// Appends a cell, in quotes if it contains a delimiter, a quote, or a line end, or if it is empty and
/// `empty_has_quotes`. So has the first cell of a row if it begins with a byte order mark, which readers drop.
fn put_quoted(text: &[u8], form: CsvForm, empty_has_quotes: bool, is_first: bool, out: &mut Vec<u8>) {
    let CsvForm { delimiter, quote } = form;
    let special = |byte: &u8| *byte == delimiter || *byte == quote || matches!(byte, b'\n' | b'\r');
    let has_mark = is_first && text.starts_with(b"\xef\xbb\xbf");
    let needs = if text.is_empty() { empty_has_quotes } else { has_mark || text.iter().any(special) };
    if !needs {
        return out.extend_from_slice(text);
    }
    out.push(quote);
    for part in text.split_inclusive(|&byte| byte == quote) {
        out.extend_from_slice(part);
        if part.ends_with(&[quote]) {
            out.push(quote);
        }
    }
    out.push(quote);
}
