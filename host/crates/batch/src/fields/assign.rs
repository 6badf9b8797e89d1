use std::sync::Arc;

use super::check::check_field;
use super::{MalformedTable, RawField, RawValues, Schema, Table};

impl Table {
    /// Checks the fields that an untrusted guest sent and becomes a copy of them. `input` is the table to which
    /// `Same` refers. On error the table is left empty.
    ///
    /// # Errors
    /// The first rule that a field breaks.
    pub fn assign(
        &mut self,
        schema: &Arc<Schema>,
        rows: usize,
        fields: &[RawField<'_>],
        input: Option<&Self>,
    ) -> Result<(), MalformedTable> {
        self.reset(schema);
        let expected = schema.fields().len();
        if fields.len() != expected {
            return Err(MalformedTable::FieldCount { found: fields.len(), expected });
        }
        for (field, raw) in schema.fields().iter().zip(fields) {
            check_field(field, raw, rows, input)?;
        }
        for (column, raw) in self.fields.iter_mut().zip(fields) {
            match raw.values {
                RawValues::Same(number) => {
                    if let Some(source) = input.and_then(|input| input.fields.get(number as usize)) {
                        column.append_range(source, 0, rows);
                    }
                }
                _ => column.assign_checked(raw, rows),
            }
        }
        self.rows = rows;
        Ok(())
    }
}
