//! The shapes that cross the boundary, as `wit/types.wit` has them. The bindings are told to use these
//! instead of generating their own, so that all other code is the same natively and in a component.

use crate::bytes::append;

/// `n` byte strings in one buffer: entry `i` is `bytes[offsets[i] .. offsets[i + 1]]`.
///
/// `offsets` has `n + 1` entries, starts at 0, never falls and ends at `bytes.len()`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Where each entry starts, and where the last one ends.
    pub offsets: Vec<u32>,
    /// All entries, one after the other.
    pub bytes: Vec<u8>,
}

impl Column {
    /// A column without entries.
    pub fn new() -> Self {
        Self { offsets: vec![0], bytes: Vec::new() }
    }

    /// A column of these entries.
    pub fn of<T: AsRef<[u8]>>(entries: impl IntoIterator<Item = T>) -> Self {
        let mut column = Self::new();
        for entry in entries {
            column.push(entry.as_ref());
        }
        column
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Entry `index`, if there is one.
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        let start = *self.offsets.get(index)? as usize;
        let end = *self.offsets.get(index.checked_add(1)?)? as usize;
        self.bytes.get(start..end)
    }

    /// The entries in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.offsets.windows(2).map(|pair| match pair {
            [start, end] => self.bytes.get(*start as usize..*end as usize).unwrap_or_default(),
            _ => &[],
        })
    }

    /// Append an entry.
    pub fn push(&mut self, entry: &[u8]) {
        append(&mut self.bytes, entry);
        self.seal();
    }

    /// End the entry that was just written to `bytes`.
    #[inline]
    pub(crate) fn seal(&mut self) {
        self.offsets.push(self.bytes.len() as u32);
    }

    /// Drop what was written to `bytes` since the last entry ended.
    pub(crate) fn unwrite(&mut self) {
        let end = self.offsets.last().copied().unwrap_or_default();
        self.bytes.truncate(end as usize);
    }

    /// Keep the first `entries` entries.
    pub(crate) fn truncate(&mut self, entries: usize) {
        self.offsets.truncate(entries + 1);
        self.unwrite();
    }

    /// Forget all entries and keep the buffers.
    pub(crate) fn clear(&mut self) {
        self.offsets.clear();
        self.offsets.push(0);
        self.bytes.clear();
    }
}

impl Default for Column {
    fn default() -> Self {
        Self::new()
    }
}

/// Records as columns; every column that is present has one entry a record.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Batch {
    /// The records themselves.
    pub payloads: Column,
    /// What they are partitioned and keep state by; absent: they have no key.
    pub keys: Option<Column>,
    /// Event time in microseconds since the Unix epoch; absent: they have none.
    pub timestamps: Option<Vec<i64>>,
    /// Headers, encoded as `wit/types.wit` says; absent: no record has any.
    pub headers: Option<Column>,
}
