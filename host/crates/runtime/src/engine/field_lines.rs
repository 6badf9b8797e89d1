use std::sync::Arc;

use super::field_reader::{FieldReader, Unread};
use super::field_text::{print, text_for_people};
use sage_batch::fields::{Schema, Table};
use sage_batch::{Batch, BatchPool, Column};
use sage_formats::csv::CsvWriter;
use sage_formats::json::JsonWriter;
use sage_formats::{FieldError, OutputField, Reason};
use sage_plan::{SinkForm, WrittenField};

use crate::connector::csv_form;

/// Writes chosen fields of records, as JSON objects or as rows of CSV.
pub(super) struct FieldLines {
    fields: Vec<WrittenField>,
    form: SinkForm,
    /// Read the fields of records that come as text, for each edge.
    readers: Vec<FieldReader>,
    /// The writer for tables of the last schema.
    writer: Option<(Arc<Schema>, Option<Writer>)>,
    text: Column,
}

/// Records that could not be read, and records that could not be written.
pub(super) type Unwritten = [Option<Box<Unread>>; 2];

enum Writer {
    Json(JsonWriter),
    Csv(CsvWriter),
}

impl FieldLines {
    /// Writes `fields`. `readers` read them from the text of the records of each edge.
    pub(super) fn new(fields: Vec<WrittenField>, form: SinkForm, readers: Vec<FieldReader>) -> Self {
        Self { fields, form, readers, writer: None, text: Column::new() }
    }

    /// Replaces the text of each record by the fields that are written. Records without these fields, and records
    /// that cannot be written, leave the batch.
    pub(super) fn write(&mut self, batch: Batch, pool: &BatchPool) -> (Batch, Unwritten) {
        let has_fields = |table: &Table| {
            let schema = table.schema();
            self.fields.iter().all(|field| schema.position(&field.field).is_some())
        };
        let reader = usize::try_from(batch.edge()).ok().and_then(|edge| self.readers.get_mut(edge));
        let (batch, unread) = match reader {
            Some(reader) if !batch.table().is_some_and(has_fields) => reader.read(batch, pool),
            _ => (batch, None),
        };
        if self.form == SinkForm::Columns {
            return match batch.table() {
                Some(_) => (batch, [unread, None]),
                None => {
                    let (batch, without) = without_fields(batch, pool);
                    (batch, [unread, without])
                }
            };
        }
        let writer = batch
            .table()
            .and_then(|table| writer_for(&mut self.writer, &self.fields, self.form, table.schema()).as_mut());
        let (batch, unprinted) = match writer {
            Some(writer) => print(batch, &mut self.text, pool, |table, row, out| writer.write_row(table, row, out)),
            None => without_fields(batch, pool),
        };
        let people = |mut unread: Box<Unread>| {
            text_for_people(&mut unread.records);
            unread
        };
        (batch, [unread, unprinted.map(people)])
    }
}

/// Records whose fields are neither in their columns nor in a text. The plan lets none come, and none is lost.
fn without_fields(batch: Batch, pool: &BatchPool) -> (Batch, Option<Box<Unread>>) {
    if batch.is_empty() {
        return (batch, None);
    }
    let reason = FieldError { field: None, reason: Reason::Table, place: None }.to_string();
    let reasons = vec![reason; batch.len()];
    (pool.take(), Some(Box::new(Unread { records: batch, reasons })))
}

fn writer_for<'a>(
    known: &'a mut Option<(Arc<Schema>, Option<Writer>)>,
    fields: &[WrittenField],
    form: SinkForm,
    schema: &Arc<Schema>,
) -> &'a mut Option<Writer> {
    let stale = known.as_ref().is_none_or(|(known, _)| !Arc::ptr_eq(known, schema));
    if stale {
        *known = None;
    }
    let made = || {
        let output = |written: &WrittenField| {
            let field = schema.position(&written.field)?;
            Some(OutputField { field, name: written.name.clone(), untyped: written.untyped })
        };
        let fields: Option<Vec<OutputField>> = fields.iter().map(output).collect();
        let writer = fields.map(|fields| match form {
            SinkForm::Csv(csv) => Writer::Csv(CsvWriter::of(schema, fields, csv_form(csv))),
            SinkForm::Lines | SinkForm::JsonLines | SinkForm::Columns => Writer::Json(JsonWriter::of(schema, &fields)),
        });
        (Arc::clone(schema), writer)
    };
    &mut known.get_or_insert_with(made).1
}

impl Writer {
    #[inline]
    fn write_row(&mut self, table: &Table, row: usize, out: &mut Vec<u8>) -> Result<(), FieldError> {
        match self {
            Self::Json(writer) => writer.write_row(table, row, out),
            Self::Csv(writer) => writer.write_row(table, row, out),
        }
    }
}
