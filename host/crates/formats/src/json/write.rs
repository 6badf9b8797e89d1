use std::sync::Arc;

use sage_batch::fields::{Schema, Table};

use super::write_value::{Printer, put_string};
use crate::OutputField;
use crate::error::{FieldError, Reason};

/// Prints rows as JSON objects: the fields in the order of the schema, the shortest number that reads back as the
/// same, `null` where a row has no value. No line end is added.
#[derive(Debug)]
pub struct JsonWriter {
    schema: Arc<Schema>,
    /// The fields that are printed, each with the text before its value: `{"name":`, then `,"name":`.
    printed: Vec<(usize, Vec<u8>)>,
    printer: Printer,
}

impl JsonWriter {
    /// A writer for tables of `schema`.
    #[must_use]
    pub fn new(schema: &Arc<Schema>) -> Self {
        Self::of(schema, &OutputField::all(schema))
    }

    /// A writer of these fields of tables of `schema`.
    #[must_use]
    pub fn of(schema: &Arc<Schema>, fields: &[OutputField]) -> Self {
        let printed = fields.iter().enumerate().map(|(at, field)| {
            let mut prefix = vec![if at == 0 { b'{' } else { b',' }];
            put_string(field.name.as_bytes(), &mut prefix);
            prefix.push(b':');
            (field.field, prefix)
        });
        Self { schema: Arc::clone(schema), printed: printed.collect(), printer: Printer::default() }
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
            self.printer.put_anyhow(column, row, &field.data_type, out);
        }
        out.push(b'}');
    }

    #[inline]
    fn fields(&mut self, table: &Table, row: usize, out: &mut Vec<u8>) -> Result<(), FieldError> {
        let same = Arc::ptr_eq(table.schema(), &self.schema) || **table.schema() == *self.schema;
        if !same || row >= table.len() {
            return Err(FieldError { field: None, reason: Reason::Table, place: None });
        }
        if self.printed.is_empty() {
            out.push(b'{');
        }
        for (field, prefix) in &self.printed {
            let (Some(column), Some(field)) = (table.fields().get(*field), self.schema.fields().get(*field)) else {
                return Err(FieldError { field: None, reason: Reason::Table, place: None });
            };
            out.extend_from_slice(prefix);
            self.printer.put(column, row, &field.data_type, out).map_err(|fault| fault.of_field(&field.name))?;
        }
        out.push(b'}');
        Ok(())
    }
}
