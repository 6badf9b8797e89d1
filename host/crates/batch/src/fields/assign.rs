use std::sync::Arc;

use super::check::check_table;
use super::{Input, MalformedTable, RawTable, RawValues, SameField, Schema, Table};

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
        raw: &RawTable<'_>,
        input: Option<Input<'_>>,
        same: &mut Vec<SameField>,
    ) -> Result<(), MalformedTable> {
        self.reset(schema);
        same.clear();
        check_table(schema, raw, rows, input)?;
        for (to, (column, field)) in self.fields.iter_mut().zip(&raw.fields).enumerate() {
            match field.values {
                RawValues::Same(from) => same.push(SameField { to, from: from as usize }),
                _ => column.assign_checked(field, rows, &raw.children),
            }
        }
        self.rows = rows;
        Ok(())
    }
}
