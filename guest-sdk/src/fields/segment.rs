//! Records by field that have not yet gone to the host.

use super::{CHUNK, FieldBatch, Inputs, IntoFields, RecordOut, Table};
use crate::attributes::{Attributes, append};
use crate::types::Column;

/// Records of which either all have a key or none has, and the same for event time: a column in the contract has no
/// gaps.
#[derive(Debug)]
pub(super) struct Segment<O> {
    out: O,
    /// Number of rows for which `out` has room.
    room: usize,
    keys: Option<Column>,
    timestamps: Option<Vec<i64>>,
    headers: Option<Column>,
    parents: Vec<u32>,
}

impl<O: RecordOut> Segment<O> {
    pub(super) fn new(key: bool, timestamp: bool) -> Self {
        let (keys, timestamps) = (key.then(Column::new), timestamp.then(Vec::new));
        Self { out: O::begin(CHUNK), room: CHUNK, keys, timestamps, headers: None, parents: Vec::new() }
    }

    /// Returns whether a record with or without key and event time fits here.
    #[inline(always)]
    pub(super) fn takes(&self, key: bool, timestamp: bool) -> bool {
        self.keys.is_some() == key && self.timestamps.is_some() == timestamp
    }

    #[inline(always)]
    pub(super) fn rows(&self) -> usize {
        self.parents.len()
    }

    /// Number of bytes of text, keys and headers.
    #[inline]
    pub(super) fn bytes(&self) -> usize {
        let beside = [&self.keys, &self.headers].into_iter().flatten().map(|column| column.bytes.len()).sum::<usize>();
        self.out.bytes() + beside
    }

    /// Appends a record and returns its size in bytes.
    #[inline]
    pub(super) fn push<G: IntoFields<Out = O>>(&mut self, record: G, attributes: Attributes<'_>, parent: u32) -> usize {
        let (row, text) = (self.parents.len(), self.out.bytes());
        if row >= self.room {
            self.room = row + CHUNK;
            self.out.grow(self.room);
        }
        // No input: an output row has no input row of its own.
        record.put(&mut self.out.chunk(row / CHUNK, Inputs::NONE), row % CHUNK);
        // A value of a number takes 8 bytes or less.
        let size = 8 * G::FIELDS.len() + self.out.bytes() - text;
        let Self { keys, timestamps, headers, .. } = self;
        let beside = append(attributes, row, keys, timestamps, headers);
        self.parents.push(parent);
        size + beside
    }

    /// Keeps the first rows and returns the number of the others.
    pub(super) fn truncate(&mut self, rows: usize) -> usize {
        let dropped = self.parents.len().saturating_sub(rows);
        self.out.truncate(rows);
        for column in [&mut self.keys, &mut self.headers].into_iter().flatten() {
            column.truncate(rows);
        }
        if let Some(timestamps) = &mut self.timestamps {
            timestamps.truncate(rows);
        }
        self.parents.truncate(rows);
        dropped
    }

    /// Returns the records and their parents.
    pub(super) fn finish(self) -> (FieldBatch, Vec<u32>) {
        let rows = self.parents.len();
        let mut children = Vec::new();
        let fields = self.out.finish(rows, Inputs::NONE, &mut children);
        let table = Table { rows: rows as u32, fields, children };
        let Self { keys, timestamps, headers, parents, .. } = self;
        (FieldBatch { table, keys, timestamps, headers }, parents)
    }
}
