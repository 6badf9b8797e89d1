use std::sync::Arc;

use super::field_reader::Unread;
use sage_batch::fields::{Schema, Table};
use sage_batch::{Batch, BatchPool, Column};
use sage_formats::FieldError;
use sage_formats::json::JsonWriter;

/// Writes records that exist only as fields as text: JSON objects.
#[derive(Default)]
pub(super) struct FieldText {
    writer: Option<(Arc<Schema>, JsonWriter)>,
    text: Column,
}

impl FieldText {
    /// Gives each record its text, unless the records have it. Records that have no text, because a number in them
    /// is not finite, leave the batch.
    pub(super) fn write(&mut self, mut batch: Batch, pool: &BatchPool) -> (Batch, Option<Box<Unread>>) {
        if batch.rows().is_some() {
            pool.lend_buffer(&mut self.text);
            write_rows(&mut batch, &mut self.text);
        }
        let Some(table) = batch.table().filter(|_| !batch.has_text()) else { return (batch, None) };
        let writer = writer_for(&mut self.writer, table.schema());
        let write = |table: &Table, row: usize, out: &mut Vec<u8>| writer.write_row(table, row, out);
        let (batch, mut unread) = print(batch, &mut self.text, pool, write);
        if let Some(unread) = &mut unread {
            self.write_anyhow(&mut unread.records);
        }
        (batch, unread)
    }

    /// Gives each record its text for people. A number that is not finite becomes a string.
    pub(super) fn write_anyhow(&mut self, batch: &mut Batch) {
        let Some(table) = batch.table().filter(|_| !batch.has_text()) else { return };
        let mut text = Column::new();
        let writer = writer_for(&mut self.writer, table.schema());
        for row in 0..table.len() {
            text.push_with(|out| writer.write_row_anyhow(table, row, out));
        }
        batch.set_text(&mut text);
    }
}

/// Gives each record by field the text that `write` writes. Records for which it fails leave the batch.
pub(super) fn print(
    mut batch: Batch,
    buffer: &mut Column,
    pool: &BatchPool,
    mut write: impl FnMut(&Table, usize, &mut Vec<u8>) -> Result<(), FieldError>,
) -> (Batch, Option<Box<Unread>>) {
    let Some(table) = batch.table() else { return (batch, None) };
    pool.lend_buffer(buffer);
    buffer.clear();
    let mut bad: Vec<(usize, String)> = Vec::new();
    for row in 0..table.len() {
        if let Err(error) = buffer.push_with(|out| write(table, row, out)) {
            bad.push((row, error.to_string()));
        }
    }
    if bad.is_empty() {
        batch.set_text(buffer);
        return (batch, None);
    }
    // The text of a bad row is a stump, which leaves with the row.
    let (mut sound, mut records) = (pool.take(), pool.take());
    let mut next = 0;
    let mut text = Column::new();
    for (row, _) in &bad {
        let _ = sound.append_range(&batch, next, *row) && records.append_range(&batch, *row, row + 1);
        text.append_range(buffer, next, *row);
        next = row + 1;
    }
    let _ = sound.append_range(&batch, next, batch.len());
    text.append_range(buffer, next, batch.len());
    pool.put(batch);
    if !sound.is_empty() {
        sound.set_text(&mut text);
    }
    let reasons = bad.into_iter().map(|(_, reason)| reason).collect();
    (sound, Some(Box::new(Unread { records, reasons })))
}

fn writer_for<'a>(known: &'a mut Option<(Arc<Schema>, JsonWriter)>, schema: &Arc<Schema>) -> &'a mut JsonWriter {
    let stale = known.as_ref().is_none_or(|(known, _)| !Arc::ptr_eq(known, schema));
    if stale {
        *known = None;
    }
    &mut known.get_or_insert_with(|| (Arc::clone(schema), JsonWriter::new(schema))).1
}

/// Gives the records of a batch of rows their text, before they leave the stage as rejects.
pub(super) fn text_of_rows(batch: &mut Batch) {
    write_rows(batch, &mut Column::new());
}

fn write_rows(batch: &mut Batch, text: &mut Column) {
    if let Some(rows) = batch.rows().cloned() {
        text.clear();
        rows.write(batch.payloads(), text);
        batch.set_text(text);
    }
}

/// Writes one batch for people, without a writer at hand.
pub(super) fn text_for_people(batch: &mut Batch) {
    if !batch.has_text() {
        FieldText::default().write_anyhow(batch);
    }
}
