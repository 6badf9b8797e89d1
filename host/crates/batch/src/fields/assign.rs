use std::sync::Arc;

use super::check::check_field;
use super::{Input, MalformedTable, RawField, RawValues, SameField, Schema, Table};

impl Table {
    /// Checks the fields that an untrusted guest sent and becomes a copy of them. Fields that are the same as in
    /// `input` stay empty and are added to `same`: [`Table::assemble`] moves them. On error the table is left empty.
    ///
    /// # Errors
    /// The first rule that a field breaks.
    pub fn assign(
        &mut self,
        schema: &Arc<Schema>,
        rows: usize,
        fields: &[RawField<'_>],
        input: Option<Input<'_>>,
        same: &mut Vec<SameField>,
    ) -> Result<(), MalformedTable> {
        self.reset(schema);
        same.clear();
        let expected = schema.fields().len();
        if fields.len() != expected {
            return Err(MalformedTable::FieldCount { found: fields.len(), expected });
        }
        for (field, raw) in schema.fields().iter().zip(fields) {
            check_field(field, raw, rows, input)?;
        }
        for (to, (column, raw)) in self.fields.iter_mut().zip(fields).enumerate() {
            match raw.values {
                RawValues::Same(from) => same.push(SameField { to, from: from as usize }),
                _ => column.assign_checked(raw, rows),
            }
        }
        self.rows = rows;
        Ok(())
    }
}
