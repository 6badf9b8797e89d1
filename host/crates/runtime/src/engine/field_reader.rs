use std::sync::Arc;

use sage_batch::fields::{DataType, Schema};
use sage_batch::{Batch, BatchPool};
use sage_formats::json::JsonReader;
use sage_plan::SourceSchema;

use crate::connector::{ReadFields, written};

/// Reads fields from the text of records.
pub(super) struct FieldReader {
    /// The fields to read, as the pipeline names them.
    fields: Arc<Schema>,
    /// The same fields as the records name them.
    written: Arc<Schema>,
    /// The fields without which the receiver cannot do.
    needed: Arc<Schema>,
    parser: JsonReader,
    /// The fields of the last records.
    read: ReadFields,
}

/// Records whose fields could not be read, each with the reason.
#[derive(Debug)]
pub(crate) struct Unread {
    /// The records as they came.
    pub(super) records: Batch,
    /// The reason for each record.
    pub(super) reasons: Vec<String>,
}

impl FieldReader {
    /// A reader of the fields in `schema`, for a receiver that needs these fields.
    pub(super) fn new(schema: &SourceSchema, needed: Arc<Schema>) -> Self {
        let (fields, written) = (Arc::clone(schema.fields()), written(schema));
        Self { fields, needed, parser: JsonReader::new(&written), written, read: ReadFields::default() }
    }

    /// Gives each record its fields, unless the records have them. Records that cannot be read leave the batch.
    pub(super) fn read(&mut self, mut batch: Batch, pool: &BatchPool) -> (Batch, Option<Box<Unread>>) {
        if let Some(table) = batch.table() {
            if has_all(table.schema(), &self.needed) {
                return (batch, None);
            }
            if let Some(mut table) = table.widened(&self.needed) {
                batch.set_fields(&mut table);
                return (batch, None);
            }
        }
        if !batch.has_text() {
            return (batch, None);
        }
        let ReadFields { table, bad } = &mut self.read;
        table.reset(&self.written);
        bad.clear();
        for (row, text) in batch.payloads().iter().enumerate() {
            if let Err(error) = self.parser.read(text, table) {
                bad.push((row, error.to_string()));
            }
        }
        self.with_fields(batch, pool)
    }

    /// As [`FieldReader::read`], for records of a source. `from_source` takes the fields from the source, and returns
    /// `false` if the source does not read fields.
    pub(super) fn take(
        &mut self,
        batch: Batch,
        from_source: impl FnOnce(&mut ReadFields) -> bool,
        pool: &BatchPool,
    ) -> (Batch, Option<Box<Unread>>) {
        self.read.table.reset(&self.written);
        if from_source(&mut self.read) { self.with_fields(batch, pool) } else { self.read(batch, pool) }
    }

    /// Gives each record the fields that were read. Bad records leave the batch.
    fn with_fields(&mut self, mut batch: Batch, pool: &BatchPool) -> (Batch, Option<Box<Unread>>) {
        let ReadFields { table, bad } = &mut self.read;
        table.rename(&self.fields);
        if bad.is_empty() {
            batch.set_fields(table);
            return (batch, None);
        }
        let (mut sound, unread) = Unread::set_aside(batch, std::mem::take(bad), pool);
        sound.set_fields(table);
        (sound, Some(Box::new(unread)))
    }
}

impl Unread {
    /// Takes these rows, each with its reason, out of a batch. Returns the rest of the batch first.
    pub(super) fn set_aside(batch: Batch, bad: Vec<(usize, String)>, pool: &BatchPool) -> (Batch, Self) {
        let (mut sound, mut records) = (pool.take(), pool.take());
        let mut next = 0;
        for (row, _) in &bad {
            // Empty batches take any shape, and all of these rows have one shape.
            let _ = sound.append_range(&batch, next, *row) && records.append_range(&batch, *row, row + 1);
            next = row + 1;
        }
        let _ = sound.append_range(&batch, next, batch.len());
        pool.put(batch);
        (sound, Self { records, reasons: bad.into_iter().map(|(_, reason)| reason).collect() })
    }
}

/// Whether `schema` has every field of `wanted` with its type.
fn has_all(schema: &Arc<Schema>, wanted: &Arc<Schema>) -> bool {
    let has = |name: &str, data_type: &DataType| {
        let field = schema.position(name).and_then(|at| schema.fields().get(at));
        field.is_some_and(|field| field.data_type == *data_type)
    };
    Arc::ptr_eq(schema, wanted) || wanted.fields().iter().all(|field| has(&field.name, &field.data_type))
}
