use std::sync::Arc;

use sage_batch::fields::{Schema, Table};

use super::write_value::{Printer, put_string};
use crate::error::{FieldError, Reason};

/// Prints rows as JSON objects: the fields in the order of the schema, the shortest number that reads back as the
/// same, `null` where a row has no value. No line end is added.
#[derive(Debug)]
pub struct JsonWriter {
    schema: Arc<Schema>,
    /// The text before each value: `{"name":`, then `,"name":`.
    prefixes: Vec<Vec<u8>>,
    printer: Printer,
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
        Self { schema: Arc::clone(schema), prefixes: prefixes.collect(), printer: Printer::default() }
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
        if self.prefixes.is_empty() {
            out.push(b'{');
        }
        for ((prefix, field), column) in self.prefixes.iter().zip(self.schema.fields()).zip(table.fields()) {
            out.extend_from_slice(prefix);
            self.printer.put(column, row, &field.data_type, out).map_err(|fault| fault.of_field(&field.name))?;
        }
        out.push(b'}');
        Ok(())
    }
}
