use std::sync::Arc;

use super::answer::{Answer, Call};
use super::failure::{Failure, FailureCode};
use super::fields_contract::{FieldBatchRef, TableColumns, TableRef};
use super::guest::Guest;
use sage_batch::fields::Table;
use sage_batch::{Batch, RawColumns};
use sage_plan::Kind;

impl Guest {
    /// Passes records by field to a guest that takes them so: for every kind but source.
    ///
    /// # Errors
    /// As [`Guest::call`]; the records have no fields, or lack a field that the guest reads.
    pub fn call_by_field(&mut self, batch: &Batch) -> Result<&mut Answer, Failure> {
        let without = || Failure::new(FailureCode::Malformed, "the records have no fields");
        let table = batch.table().ok_or_else(without)?;
        match self.kind() {
            Kind::Window => {
                let edge = self.store.data().edge;
                self.fold(Some(table), &batch.into(), edge)
            }
            Kind::Process | Kind::Sink => self.call_with_batch(table, &batch.into()),
            _ => self.call_with_table(table),
        }
    }

    /// map, filter, flat-map and key-by: as [`Guest::call_by_field`], with the fields alone.
    ///
    /// # Errors
    /// As [`Guest::call_by_field`].
    pub fn call_with_table(&mut self, table: &Table) -> Result<&mut Answer, Failure> {
        let columns = self.begin_table(table)?;
        let TableColumns { fields, children } = TableColumns::of(table, &columns);
        let rows = u32::try_from(table.len()).unwrap_or(u32::MAX);
        let params = TableRef { rows, fields: &fields, children: &children };
        self.invoke::<_, ()>(self.work, Call::Over(table.len()), (params,))?;
        self.answer()
    }

    /// process and sink: the payloads of `columns` are ignored.
    fn call_with_batch(&mut self, table: &Table, columns: &RawColumns<'_>) -> Result<&mut Answer, Failure> {
        let read = self.begin_table(table)?;
        let TableColumns { fields, children } = TableColumns::of(table, &read);
        let rows = u32::try_from(table.len()).unwrap_or(u32::MAX);
        let params = FieldBatchRef {
            table: TableRef { rows, fields: &fields, children: &children },
            keys: columns.keys.map(Into::into),
            timestamps: columns.timestamps,
            headers: columns.headers.map(Into::into),
        };
        self.invoke::<_, ()>(self.work, Call::Over(table.len()), (params,))?;
        self.answer()
    }

    /// Sets the table of the next call. Returns the columns that the guest reads.
    pub(super) fn begin_table(&mut self, table: &Table) -> Result<Arc<[usize]>, Failure> {
        let known = self.columns.as_ref().filter(|(schema, _)| Arc::ptr_eq(schema, table.schema()));
        let columns = match known {
            Some((_, columns)) => Arc::clone(columns),
            None => {
                let columns: Arc<[usize]> = self.loaded.columns_in(table.schema())?.into();
                self.columns = Some((Arc::clone(table.schema()), Arc::clone(&columns)));
                columns
            }
        };
        if let Some(answer) = self.store.data_mut().answer.as_deref_mut() {
            answer.input(table, columns.iter().copied());
        }
        Ok(columns)
    }
}
