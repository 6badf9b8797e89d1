use std::sync::Arc;

use super::answer::{Answer, Call};
use super::failure::Failure;
use super::fields_contract::{TableRef, field_refs};
use super::guest::Guest;
use sage_batch::fields::Table;

impl Guest {
    /// Passes records by field to a guest that takes them so.
    ///
    /// # Errors
    /// As [`Guest::call`]; the table lacks a field that the guest reads.
    pub fn call_by_field(&mut self, table: &Table) -> Result<&mut Answer, Failure> {
        let known = self.columns.as_ref().is_some_and(|(schema, _)| Arc::ptr_eq(schema, table.schema()));
        if !known {
            let columns = self.loaded.columns_in(table.schema())?;
            self.columns = Some((Arc::clone(table.schema()), columns));
        }
        let columns = self.columns.as_ref().map_or(&[][..], |(_, columns)| columns);
        if let Some(answer) = self.store.data_mut().answer.as_deref_mut() {
            answer.input(table, columns.iter().copied());
        }
        let fields = field_refs(table, columns);
        let rows = u32::try_from(table.len()).unwrap_or(u32::MAX);
        let params = TableRef { rows, fields: &fields };
        self.invoke::<_, ()>(self.work, Call::Over(table.len()), (params,))?;
        self.answer()
    }
}
