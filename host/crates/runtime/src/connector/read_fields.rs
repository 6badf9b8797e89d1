use std::sync::Arc;

use sage_batch::fields::{FieldType, Schema, Table};
use sage_plan::SourceSchema;

/// The fields that a source has read from its records, and the records that do not have them.
#[derive(Debug, Default)]
pub struct ReadFields {
    /// A row for each record that has the fields.
    pub table: Table,
    /// The other records: the place of each in the batch, in rising order, and the reason.
    pub bad: Vec<(usize, String)>,
}

impl ReadFields {
    /// The fields of `schema`, as the source names them.
    pub(crate) fn of(schema: &SourceSchema) -> Self {
        Self { table: Table::new(written(schema)), bad: Vec::new() }
    }

    /// Removes the records, and keeps the buffers.
    pub(crate) fn clear(&mut self) {
        self.table.clear();
        self.bad.clear();
    }
}

/// The fields of a source's schema under their names in the source.
pub(crate) fn written(schema: &SourceSchema) -> Arc<Schema> {
    let fields = schema.fields();
    let names = fields.fields().iter().zip(schema.names());
    if names.clone().all(|(field, name)| field.name == *name) {
        return Arc::clone(fields);
    }
    // The names differ: a schema of a source does not name a field twice.
    let named = names.map(|(field, name)| FieldType { name: name.clone(), ..field.clone() });
    Arc::new(Schema::new(named.collect()).unwrap_or_default())
}
