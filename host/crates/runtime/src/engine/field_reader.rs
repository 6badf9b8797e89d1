use std::sync::Arc;

use sage_batch::fields::{Cell, DataType, FieldType, Schema, Table};
use sage_batch::{Batch, BatchPool};
use sage_formats::FieldError;
use sage_formats::csv::CsvCells;
use sage_formats::json::JsonReader;
use sage_plan::SourceSchema;

/// Reads fields from the text of records.
pub(super) struct FieldReader {
    /// The fields to read, as the pipeline names them.
    fields: Arc<Schema>,
    /// The same fields as the records name them.
    written: Arc<Schema>,
    /// The fields without which the receiver cannot do.
    needed: Arc<Schema>,
    parser: Parser,
    table: Table,
}

/// The way from the text of a record to its fields.
enum Parser {
    /// The text is a JSON object.
    Json(JsonReader),
    /// The text is a JSON object of the cells of a CSV row: each value is a text.
    Cells(Box<CellParser>),
}

/// Reads the cells of a row from a JSON object of texts.
struct CellParser {
    texts: JsonReader,
    row: Table,
    cells: CsvCells,
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
    pub(super) fn new(schema: &SourceSchema, needed: Arc<Schema>, csv: bool) -> Self {
        let fields = Arc::clone(schema.fields());
        let names = fields.fields().iter().zip(schema.names());
        let written = match names.clone().all(|(field, name)| field.name == *name) {
            true => Arc::clone(&fields),
            // The names differ: a schema of a source does not name a field twice.
            false => Arc::new(
                Schema::new(names.map(|(field, name)| FieldType { name: name.clone(), ..field.clone() }).collect())
                    .unwrap_or_default(),
            ),
        };
        let cells = if csv { CellParser::new(&written) } else { None };
        let parser = cells.map_or_else(|| Parser::Json(JsonReader::new(&written)), Parser::Cells);
        let table = Table::new(Arc::clone(&written));
        Self { fields, written, needed, parser, table }
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
        self.table.reset(&self.written);
        let mut unread: Vec<(usize, String)> = Vec::new();
        for (row, text) in batch.payloads().iter().enumerate() {
            if let Err(error) = self.parser.read(text, &mut self.table) {
                unread.push((row, error.to_string()));
            }
        }
        self.table.rename(&self.fields);
        if unread.is_empty() {
            batch.set_fields(&mut self.table);
            return (batch, None);
        }
        let (mut sound, unread) = Unread::set_aside(batch, unread, pool);
        sound.set_fields(&mut self.table);
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

impl Parser {
    fn read(&mut self, text: &[u8], table: &mut Table) -> Result<(), FieldError> {
        match self {
            Self::Json(json) => json.read(text, table),
            Self::Cells(cells) => cells.read(text, table),
        }
    }
}

impl CellParser {
    /// A parser of these fields. `None` if they do not make a schema, which cannot happen.
    fn new(written: &Arc<Schema>) -> Option<Box<Self>> {
        let text = |field: &FieldType| FieldType { data_type: DataType::String, nullable: true, ..field.clone() };
        let texts = Arc::new(Schema::new(written.fields().iter().map(text).collect()).ok()?);
        let header = written.fields().iter().map(|field| field.name.as_bytes());
        let cells = CsvCells::new(written, header).ok()?;
        Some(Box::new(Self { texts: JsonReader::new(&texts), row: Table::new(texts), cells }))
    }

    fn read(&mut self, text: &[u8], table: &mut Table) -> Result<(), FieldError> {
        self.row.clear();
        self.texts.read(text, &mut self.row)?;
        let row = &self.row;
        let cell = |number: usize| match row.cell(number, 0) {
            Some(Cell::Bytes(cell)) => Some(cell),
            _ => None,
        };
        self.cells.read(cell, table)
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
