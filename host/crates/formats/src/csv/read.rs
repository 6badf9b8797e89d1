use std::sync::Arc;

use sage_batch::fields::{DataType, FieldColumn, FieldType, Schema, Table};

use crate::error::{FieldError, Reason};
use crate::json::Value;
use crate::put::{put_number, put_text};
use crate::scan::{self, Open};

/// Reads the fields of a schema from the cells of CSV rows. A field's name is the name of its column in the
/// header.
#[derive(Debug)]
pub struct CsvCells {
    schema: Arc<Schema>,
    /// For each field, the number of its cell; `None` for a nullable field that the header does not have.
    cells: Vec<Option<usize>>,
    open: Open,
    /// Text of strings with escapes in a list or a struct, decoded.
    text: Vec<u8>,
}

impl CsvCells {
    /// A reader of the fields in `schema` from rows under this header.
    ///
    /// # Errors
    /// The header lacks a field that is not nullable, or has a field twice.
    pub fn new<'a>(schema: &Arc<Schema>, header: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, FieldError> {
        let mut cells = vec![None; schema.fields().len()];
        for (number, name) in header.into_iter().enumerate() {
            for (cell, field) in cells.iter_mut().zip(schema.fields()) {
                if field.name.as_bytes() == name && cell.replace(number).is_some() {
                    return Err(FieldError::without_place(&field.name, Reason::Twice));
                }
            }
        }
        for (cell, field) in cells.iter().zip(schema.fields()) {
            if cell.is_none() && !field.nullable {
                return Err(FieldError::without_place(&field.name, Reason::Missing));
            }
        }
        Ok(Self::at(schema, cells))
    }

    /// A reader of the fields in `schema`, each from the cell with this number; `None` for a nullable field without
    /// a cell.
    #[must_use]
    pub fn at(schema: &Arc<Schema>, cells: Vec<Option<usize>>) -> Self {
        Self { schema: Arc::clone(schema), cells, open: Open::default(), text: Vec::new() }
    }

    /// Appends a row of `table`, whose schema is the reader's. `cells` gives the cell with this number, without
    /// its quotes, and `is_quoted` says whether an empty cell stands in quotes.
    ///
    /// # Errors
    /// A field breaks a rule. The table is then as it was.
    pub fn read<'a>(
        &mut self,
        cells: impl Fn(usize) -> Option<&'a [u8]>,
        is_quoted: impl Fn(usize) -> bool,
        table: &mut Table,
    ) -> Result<(), FieldError> {
        let rows = table.len();
        let read = self.row(cells, is_quoted, table);
        if read.is_err() {
            table.truncate(rows);
        }
        read
    }

    fn row<'a>(
        &mut self,
        cells: impl Fn(usize) -> Option<&'a [u8]>,
        is_quoted: impl Fn(usize) -> bool,
        table: &mut Table,
    ) -> Result<(), FieldError> {
        if !Arc::ptr_eq(table.schema(), &self.schema) && **table.schema() != *self.schema {
            return Err(FieldError { field: None, reason: Reason::Table, place: None });
        }
        for (number, (cell, field)) in self.cells.iter().zip(self.schema.fields()).enumerate() {
            let Some(column) = table.field_mut(number) else { continue };
            let quoted_empty = || cell.is_some_and(&is_quoted);
            let cell = cell.and_then(&cells);
            if let (Some(cell @ [_, ..]), true) = (cell, field.data_type.is_nested()) {
                put_nested(cell, field, column, &mut self.open, &mut self.text)?;
                continue;
            }
            put_cell(cell, quoted_empty, field, column, &mut self.open)
                .map_err(|reason| FieldError::without_place(&field.name, reason))?;
        }
        match table.finish_row() {
            true => Ok(()),
            false => Err(FieldError { field: None, reason: Reason::Table, place: None }),
        }
    }
}

fn put_cell(
    cell: Option<&[u8]>,
    is_quoted: impl Fn() -> bool,
    field: &FieldType,
    column: &mut FieldColumn,
    open: &mut Open,
) -> Result<(), Reason> {
    let data_type = &field.data_type;
    let cell = match cell {
        Some([]) if field.nullable && *data_type == DataType::String && is_quoted() => &[],
        None | Some([]) if field.nullable => {
            column.push_null();
            return Ok(());
        }
        None => return Err(Reason::Missing),
        Some([]) if *data_type != DataType::String => return Err(Reason::Empty(data_type.clone())),
        Some(cell) => cell,
    };
    let bad = |bad: crate::error::Bad| bad.reason(cell, data_type);
    let no_form = || bad(crate::error::Bad::Form);
    match data_type {
        DataType::Bool => match cell {
            b"true" => column.push_bool(true),
            b"false" => column.push_bool(false),
            _ => return Err(no_form()),
        },
        DataType::String | DataType::Timestamp | DataType::Date | DataType::Bytes => {
            if simdutf8::basic::from_utf8(cell).is_err() {
                return Err(Reason::NotUtf8);
            }
            put_text(column, data_type, cell).map_err(bad)?;
        }
        DataType::Json => {
            if simdutf8::basic::from_utf8(cell).is_err() {
                return Err(Reason::NotUtf8);
            }
            column.push_bytes(crate::json::one_value(cell, open)?);
        }
        _ if scan::number(cell, 0) == Some(cell.len()) => put_number(column, data_type, cell).map_err(bad)?,
        _ => return Err(no_form()),
    }
    Ok(())
}

/// Adds a list or a struct from its JSON text.
fn put_nested(
    cell: &[u8],
    field: &FieldType,
    column: &mut FieldColumn,
    open: &mut Open,
    text: &mut Vec<u8>,
) -> Result<(), FieldError> {
    let error = |inside: &str, reason| FieldError::without_place(&format!("{}{inside}", field.name), reason);
    if simdutf8::basic::from_utf8(cell).is_err() {
        return Err(error("", Reason::NotUtf8));
    }
    let (start, nullable) = (scan::space(cell, 0), field.nullable);
    let value = Value { record: cell, start, data_type: &field.data_type, nullable, level: 1, open, text };
    match value.put(column) {
        Ok(end) if scan::space(cell, end) == cell.len() => Ok(()),
        Ok(_) | Err(None) => Err(error("", Reason::NotJson)),
        Err(Some(fault)) => Err(error(&fault.inside, fault.reason)),
    }
}
