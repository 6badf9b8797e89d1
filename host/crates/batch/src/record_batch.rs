use std::sync::Arc;

use super::fields::{Schema, Table};
use super::row_text::{RowText, are_one_kind};
use super::{Bitmap, Column, Malformed, Origin};
use sage_time::Watermark;

/// Records in columns: the unit that moves through a pipeline.
///
/// Payloads and origins are always present. Keys, timestamps, headers and fields are present for all records of
/// the batch or for none. Records whose fields an operator made have no text yet: their payloads are empty until
/// somebody [prints](Batch::set_text) them.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    pub(crate) payloads: Column,
    /// The optional columns that these records have. The others are kept for their buffers.
    pub(super) shape: Shape,
    pub(super) keys: Column,
    pub(super) timestamps: Vec<i64>,
    pub(super) headers: Column,
    /// The fields, apart: most batches have none, and batches are moved often. Kept for its buffers if `by_field` is
    /// not set.
    pub(super) table: Option<Box<Table>>,
    pub(super) by_field: bool,
    /// The way from a payload to the record's text, if the payloads are not the text.
    pub(super) rows: Option<Arc<dyn RowText>>,
    pub(super) origins: Vec<Origin>,
    ingested: u64,
    pub(super) edge: u32,
    /// The watermark, whose parts are apart to save space.
    pub(super) time: Time,
    pub(super) is_idle: bool,
}

/// One record of a batch, borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// Bytes of the record itself.
    pub payload: &'a [u8],
    /// Key by which the record is partitioned. An empty key is a key.
    pub key: Option<&'a [u8]>,
    /// Event time in microseconds since the Unix epoch.
    pub timestamp: Option<i64>,
    /// Headers in the encoding of the WIT contract (`types.batch`).
    pub headers: Option<&'a [u8]>,
    /// Place where the record came from.
    pub origin: Origin,
}

impl<'a> Record<'a> {
    /// A record with a payload and nothing else.
    #[must_use]
    pub fn of(payload: &'a [u8], origin: Origin) -> Self {
        Self { payload, key: None, timestamp: None, headers: None, origin }
    }
}

/// Columns from an untrusted sender: offsets and bytes, not yet checked.
#[derive(Debug, Clone, Copy, Default)]
pub struct RawColumns<'a> {
    /// The payloads.
    pub payloads: (&'a [u32], &'a [u8]),
    /// The keys, if there are any.
    pub keys: Option<(&'a [u32], &'a [u8])>,
    /// The event times, if there are any.
    pub timestamps: Option<&'a [i64]>,
    /// The headers, if there are any.
    pub headers: Option<(&'a [u32], &'a [u8])>,
}

impl<'a> From<&'a Batch> for RawColumns<'a> {
    fn from(batch: &'a Batch) -> Self {
        fn parts(column: &Column) -> (&[u32], &[u8]) {
            (column.offsets(), column.bytes())
        }
        Self {
            payloads: parts(&batch.payloads),
            keys: batch.keys().map(parts),
            timestamps: batch.timestamps(),
            headers: batch.headers().map(parts),
        }
    }
}

/// The optional columns that a batch has. Records of different shapes never share a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Shape {
    pub(super) keys: bool,
    pub(super) timestamps: bool,
    pub(super) headers: bool,
    pub(super) textless: bool,
}

/// The time of a watermark: none by default.
#[derive(Debug, Clone, Copy)]
pub(super) struct Time(pub(super) i64);

impl Default for Time {
    fn default() -> Self {
        Self(Watermark::NONE.time)
    }
}

impl Batch {
    /// A batch without records.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of records.
    #[must_use]
    pub fn len(&self) -> usize {
        self.payloads.len()
    }

    /// Whether there is no record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.payloads.is_empty()
    }

    /// The records' payloads.
    #[must_use]
    pub fn payloads(&self) -> &Column {
        &self.payloads
    }

    /// The records' keys, if these records have keys.
    #[must_use]
    pub fn keys(&self) -> Option<&Column> {
        self.shape.keys.then_some(&self.keys)
    }

    /// Event times in microseconds since the Unix epoch, if these records have them.
    #[must_use]
    pub fn timestamps(&self) -> Option<&[i64]> {
        self.shape.timestamps.then_some(self.timestamps.as_slice())
    }

    /// The records' headers in the encoding of the WIT contract, if any of these records has headers.
    #[must_use]
    pub fn headers(&self) -> Option<&Column> {
        self.shape.headers.then_some(&self.headers)
    }

    /// The origin of each record.
    #[must_use]
    pub fn origins(&self) -> &[Origin] {
        &self.origins
    }

    /// The records by field, if their fields are known.
    #[must_use]
    pub fn table(&self) -> Option<&Table> {
        self.table.as_deref().filter(|_| self.by_field)
    }

    /// Whether the payloads are the records as text or bytes. `false`: only the [table](Batch::table) has them.
    #[must_use]
    pub fn has_text(&self) -> bool {
        !self.shape.textless
    }

    /// Time at which the oldest of these records entered the pipeline, in nanoseconds since the run began.
    #[must_use]
    pub fn ingested(&self) -> u64 {
        self.ingested
    }

    /// Sets the time at which these records entered the pipeline.
    pub fn set_ingested(&mut self, nanoseconds: u64) {
        self.ingested = nanoseconds;
    }

    /// Bytes that the batch counts for on an edge: its payloads, keys and headers, plus the other bytes of each
    /// record (offsets, origin, time).
    #[must_use]
    pub fn weight(&self) -> usize {
        let optional = |column: Option<&Column>| column.map_or(0, |c| c.byte_len() + 4 * c.len());
        self.content_bytes()
            + optional(self.keys())
            + optional(self.headers())
            + self.timestamps().map_or(0, |t| 8 * t.len())
            + 12 * self.len()
    }

    /// Bytes of the records: of their text, or of their fields if they have no text.
    #[must_use]
    pub fn record_bytes(&self) -> usize {
        match self.table() {
            Some(table) if self.shape.textless => table.weight(),
            _ => self.payloads.byte_len(),
        }
    }

    /// Bytes of the payloads and of the fields.
    #[must_use]
    pub fn content_bytes(&self) -> usize {
        self.payloads.byte_len() + self.table().map_or(0, Table::weight)
    }

    /// Record `row`, if there is one.
    #[must_use]
    pub fn record(&self, row: usize) -> Option<Record<'_>> {
        Some(Record {
            payload: self.payloads.get(row)?,
            key: self.keys().and_then(|keys| keys.get(row)),
            timestamp: self.timestamps().and_then(|times| times.get(row).copied()),
            headers: self.headers().and_then(|headers| headers.get(row)),
            origin: self.origins.get(row).copied().unwrap_or(Origin::NONE),
        })
    }

    /// Adds a record, unless its shape (the set of key, timestamp and headers that it has) differs from that of
    /// the records in the batch. If it differs, nothing is added and the result is `false`; the caller must
    /// send this batch and start another.
    #[must_use]
    pub fn push(&mut self, record: Record<'_>) -> bool {
        let shape = Shape {
            keys: record.key.is_some(),
            timestamps: record.timestamp.is_some(),
            headers: record.headers.is_some(),
            textless: false,
        };
        if !self.take_shape(shape, None) {
            return false;
        }
        self.payloads.push(record.payload);
        if let Some(key) = record.key {
            self.keys.push(key);
        }
        if let Some(timestamp) = record.timestamp {
            self.timestamps.push(timestamp);
        }
        if let Some(headers) = record.headers {
            self.headers.push(headers);
        }
        self.origins.push(record.origin);
        true
    }

    /// Adds a record and appends its payload with `write`. For sources that format in place. The batch must
    /// hold only records without key, timestamp and headers.
    pub fn push_payload_with<R>(&mut self, origin: Origin, write: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        debug_assert!(self.take_shape(Shape::default(), None), "a bare record among records with keys or times");
        self.origins.push(origin);
        self.payloads.push_with(write)
    }

    /// Adds records `start..end` of `other`, unless their shape differs (as [`Batch::push`]).
    #[must_use]
    pub fn append_range(&mut self, other: &Self, start: usize, end: usize) -> bool {
        let end = end.min(other.len());
        if start >= end {
            return true;
        }
        if !self.take_shape(other.shape(), Some(other)) {
            return false;
        }
        self.append_beside_payloads(other, start, end);
        self.payloads.append_range(&other.payloads, start, end);
        if let (Some(own), Some(table)) = (self.table_mut(), other.table()) {
            own.append_range(table, start, end);
        }
        true
    }

    /// Adds the records of `other` that have a set bit in the bitmap `kept`, unless their shape differs (as
    /// [`Batch::push`]).
    #[must_use]
    pub fn append_kept(&mut self, other: &Self, kept: Bitmap<'_>) -> bool {
        if !self.take_shape(other.shape(), Some(other)) {
            return false;
        }
        self.meet(other);
        // Copies column by column: with one run of records at a time through all columns, the overhead cost
        // more than the copies.
        self.payloads.append_kept(&other.payloads, kept);
        if let Some(keys) = other.keys() {
            self.keys.append_kept(keys, kept);
        }
        if let Some(times) = other.timestamps() {
            append_kept(&mut self.timestamps, times, kept);
        }
        if let Some(headers) = other.headers() {
            self.headers.append_kept(headers, kept);
        }
        if let (Some(own), Some(table)) = (self.table_mut(), other.table()) {
            own.append_kept(table, kept);
        }
        append_kept(&mut self.origins, &other.origins, kept);
        true
    }

    /// Adds the columns of records `start..end` of `other`, except payloads and fields. The caller adds as many
    /// payloads.
    #[must_use]
    pub fn append_around_payloads(&mut self, other: &Self, start: usize, end: usize) -> bool {
        let end = end.min(other.len());
        if start >= end {
            return true;
        }
        if !self.take_shape(Shape { textless: false, ..other.shape() }, None) {
            return false;
        }
        self.append_beside_payloads(other, start, end);
        true
    }

    fn append_beside_payloads(&mut self, other: &Self, start: usize, end: usize) {
        self.meet(other);
        if let Some(keys) = other.keys() {
            self.keys.append_range(keys, start, end);
        }
        if let Some(times) = other.timestamps().and_then(|t| t.get(start..end)) {
            self.timestamps.extend_from_slice(times);
        }
        if let Some(headers) = other.headers() {
            self.headers.append_range(headers, start, end);
        }
        if let Some(origins) = other.origins.get(start..end) {
            self.origins.extend_from_slice(origins);
        }
    }

    /// Adds payloads `start..end` of a column: the counterpart of [`Batch::append_around_payloads`].
    pub fn append_payloads(&mut self, payloads: &Column, start: usize, end: usize) {
        self.payloads.append_range(payloads, start, end);
    }

    /// Swaps the payloads with those in `column`, which must have one entry for each record. The fields of the
    /// records are forgotten.
    pub fn swap_payloads(&mut self, column: &mut Column) {
        std::mem::swap(&mut self.payloads, column);
        self.by_field = false;
        self.are_text();
    }

    /// Gives the records the text in `column`, which must have one entry for each record. Their fields stay.
    pub fn set_text(&mut self, column: &mut Column) {
        std::mem::swap(&mut self.payloads, column);
        self.are_text();
    }

    fn are_text(&mut self) {
        (self.shape.textless, self.rows) = (false, None);
    }

    /// Moves the payload bytes into `buffer` and keeps `buffer`'s allocation. No payload may be read before the
    /// bytes [come back](Self::payloads_come_back) or other payloads [take their place](Self::swap_payloads).
    pub fn let_go_of_payloads(&mut self, buffer: &mut Vec<u8>) {
        self.payloads.detach(buffer);
    }

    /// Gets back the detached payload bytes. `fill` appends as many bytes as its second argument says.
    pub fn payloads_come_back<E>(&mut self, fill: impl FnOnce(&mut Vec<u8>, usize) -> Result<(), E>) -> Result<(), E> {
        self.payloads.reattach(fill)
    }

    /// Swaps the keys with those in `column`, which must have one entry for each record.
    pub fn swap_keys(&mut self, column: &mut Column) {
        std::mem::swap(&mut self.keys, column);
        self.shape.keys = true;
    }

    /// Swaps the event times with those in `times`, which must have one entry for each record.
    pub fn swap_timestamps(&mut self, times: &mut Vec<i64>) {
        std::mem::swap(&mut self.timestamps, times);
        self.shape.timestamps = true;
    }

    /// Checks these columns and becomes the records that they describe, without origins. Returns the number of
    /// records. On error the batch is left empty.
    ///
    /// # Errors
    /// The first rule of the contract that a column breaks.
    pub fn assign(&mut self, columns: RawColumns<'_>) -> Result<usize, Malformed> {
        self.clear();
        let result = self.assign_checked(columns);
        if result.is_err() {
            self.clear();
        }
        result
    }

    fn assign_checked(&mut self, columns: RawColumns<'_>) -> Result<usize, Malformed> {
        let (offsets, bytes) = columns.payloads;
        let expected = self.payloads.assign("payloads", offsets, bytes)?;
        self.assign_beside(columns, expected)?;
        Ok(expected)
    }

    /// Checks the columns beside the payloads, and copies them.
    pub(super) fn assign_beside(&mut self, columns: RawColumns<'_>, expected: usize) -> Result<(), Malformed> {
        let check =
            |column, found| if found == expected { Ok(()) } else { Err(Malformed::Count { column, found, expected }) };
        if let Some((offsets, bytes)) = columns.keys {
            self.shape.keys = true;
            check("keys", self.keys.assign("keys", offsets, bytes)?)?;
        }
        if let Some(times) = columns.timestamps {
            check("timestamps", times.len())?;
            self.shape.timestamps = true;
            self.timestamps.extend_from_slice(times);
        }
        if let Some((offsets, bytes)) = columns.headers {
            self.shape.headers = true;
            check("headers", self.headers.assign("headers", offsets, bytes)?)?;
        }
        Ok(())
    }

    /// Sets the origin of each record. `origins` must have one entry for each record.
    pub fn set_origins(&mut self, origins: impl Iterator<Item = Origin>) {
        self.origins.clear();
        self.origins.extend(origins);
        debug_assert_eq!(self.origins.len(), self.len(), "an origin for each record");
    }

    /// Removes the records and keeps the buffers.
    pub fn clear(&mut self) {
        self.payloads.clear();
        self.shape.keys = false;
        self.keys.clear();
        self.shape.timestamps = false;
        self.timestamps.clear();
        self.shape.headers = false;
        self.headers.clear();
        if std::mem::take(&mut self.by_field)
            && let Some(table) = &mut self.table
        {
            table.clear();
        }
        self.are_text();
        self.origins.clear();
        self.ingested = 0;
        self.edge = 0;
        self.set_watermark(Watermark::NONE);
    }

    /// Bytes of memory that the buffers occupy, used or not.
    pub fn capacity(&self) -> usize {
        self.payloads.capacity()
            + self.keys.capacity()
            + self.headers.capacity()
            + self.table.as_ref().map_or(0, |table| table.capacity())
            + self.timestamps.capacity() * size_of::<i64>()
            + self.origins.capacity() * size_of::<Origin>()
    }

    /// Takes over the time and the edge of records that are added.
    pub(super) fn meet(&mut self, other: &Self) {
        if self.is_empty() {
            (self.ingested, self.edge) = (other.ingested, other.edge);
        }
        self.ingested = self.ingested.min(other.ingested);
    }

    pub(super) fn shape(&self) -> Shape {
        self.shape
    }

    /// Takes the shape, and the fields and rows of `other`, if the batch is empty. Returns `false` if the batch has
    /// records of another shape.
    #[inline]
    pub(super) fn take_shape(&mut self, shape: Shape, other: Option<&Self>) -> bool {
        let (table, rows) = (other.and_then(Self::table), other.and_then(|other| other.rows.as_ref()));
        if self.is_empty() && self.origins.is_empty() {
            self.shape = shape;
            self.rows = rows.cloned();
            self.by_field = table.is_some();
            if let Some(table) = table {
                self.table.get_or_insert_default().reset(table.schema());
            }
        }
        self.shape() == shape && self.schema() == table.map(Table::schema) && are_one_kind(self.rows.as_ref(), rows)
    }

    fn schema(&self) -> Option<&Arc<Schema>> {
        self.table().map(Table::schema)
    }
}

fn append_kept<T: Copy>(out: &mut Vec<T>, from: &[T], kept: Bitmap<'_>) {
    kept.runs(from.len(), |start, end| out.extend_from_slice(from.get(start..end).unwrap_or_default()));
}

// A batch of more than 256 bytes is moved at twice the cost.
const _: () = assert!(size_of::<Batch>() <= 256);
