use super::{Bitmap, Malformed, check_offsets};

/// `n` byte strings in one buffer, with n + 1 rising offsets. This is Arrow's Binary layout, so a guest, Arrow
/// and Python can share a column without a copy. A column is always valid, except while its bytes are detached
/// (`detach`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    offsets: Vec<u32>,
    bytes: Vec<u8>,
}

impl Default for Column {
    fn default() -> Self {
        Self { offsets: vec![0], bytes: Vec::new() }
    }
}

impl Column {
    /// A column without entries.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Total bytes of all entries.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    /// Bytes that the byte buffer holds without growing.
    #[must_use]
    pub fn byte_capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Bytes of memory that the buffers occupy, used or not.
    pub fn capacity(&self) -> usize {
        self.bytes.capacity() + self.offsets.capacity() * size_of::<u32>()
    }

    /// The n + 1 offsets; the first is 0.
    #[must_use]
    pub fn offsets(&self) -> &[u32] {
        &self.offsets
    }

    /// The bytes of all entries, one after another.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Entry `row`, if there is one.
    #[must_use]
    #[inline]
    pub fn get(&self, row: usize) -> Option<&[u8]> {
        let (&start, &end) = (self.offsets.get(row)?, self.offsets.get(row + 1)?);
        self.bytes.get(start as usize..end as usize)
    }

    /// The entries in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> + Clone {
        self.offsets.windows(2).map(|pair| match *pair {
            [start, end] => self.bytes.get(start as usize..end as usize).unwrap_or_default(),
            _ => &[],
        })
    }

    /// Adds an entry.
    ///
    /// # Panics
    /// The column would hold more than 4 GiB of bytes. `limits.record_bytes` bounds records, and the flush size
    /// bounds batches, far below that.
    #[inline]
    pub fn push(&mut self, entry: &[u8]) {
        self.bytes.extend_from_slice(entry);
        self.close_entry();
    }

    /// Adds `count` empty entries.
    pub fn push_empty(&mut self, count: usize) {
        let end = self.end_offset();
        self.offsets.resize(self.offsets.len() + count, end);
    }

    /// Adds an entry that `write` appends to the byte buffer. `write` must only append.
    ///
    /// # Panics
    /// As [`Column::push`].
    #[inline]
    pub fn push_with<R>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        let result = write(&mut self.bytes);
        self.close_entry();
        result
    }

    /// Adds entries `start..end` of `other`. Rows past the end of `other` are left out.
    #[inline]
    pub fn append_range(&mut self, other: &Self, start: usize, end: usize) {
        let end = end.min(other.len());
        let (Some(&first), Some(&last)) = (other.offsets.get(start), other.offsets.get(end)) else { return };
        let Some(bytes) = other.bytes.get(first as usize..last as usize) else { return };
        let base = self.end_offset();
        self.bytes.extend_from_slice(bytes);
        assert!(u32::try_from(self.bytes.len()).is_ok(), "a column holds at most 4 GiB");
        if let Some(offsets) = other.offsets.get(start + 1..=end) {
            // `offset - first` cannot wrap, because offsets never fall. The sum cannot wrap either (asserted
            // above).
            self.offsets.extend(offsets.iter().map(|&offset| base + (offset - first)));
        }
    }

    /// Adds these entries of `other`. Rows past the end of `other` are left out.
    pub(super) fn append_rows(&mut self, other: &Self, rows: &[u32]) {
        self.offsets.reserve(rows.len());
        for &row in rows {
            if let Some(entry) = other.get(row as usize) {
                self.push(entry);
            }
        }
    }

    /// Adds the entries of `other` that have a set bit in the bitmap `kept`.
    pub fn append_kept(&mut self, other: &Self, kept: Bitmap<'_>) {
        // Reserves room for all entries at once: about half of them are expected to stay, and the buffer is
        // reused.
        self.bytes.reserve(other.bytes.len());
        self.offsets.reserve(other.len());
        kept.runs(other.len(), |start, end| self.append_range(other, start, end));
    }

    /// Checks `offsets` and `bytes` and becomes the column that they describe. Returns the number of entries.
    /// On error the column is left empty.
    ///
    /// # Errors
    /// The first rule that the offsets break. The error contains `name` as the column's name.
    pub fn assign(&mut self, name: &'static str, offsets: &[u32], bytes: &[u8]) -> Result<usize, Malformed> {
        self.clear();
        let rows = check_offsets(name, offsets, bytes.len())?;
        self.offsets.clear();
        self.offsets.extend_from_slice(offsets);
        self.bytes.extend_from_slice(bytes);
        Ok(rows)
    }

    /// Becomes the column that `fill` writes into the emptied buffers, after a check. Returns the number of
    /// entries. On error the column is left empty.
    ///
    /// # Errors
    /// The error of `fill`, or the first rule that the offsets break.
    pub(super) fn refill<E: From<Malformed>>(
        &mut self,
        name: &'static str,
        fill: impl FnOnce(&mut Vec<u32>, &mut Vec<u8>) -> Result<(), E>,
    ) -> Result<usize, E> {
        self.bytes.clear();
        let filled = fill(&mut self.offsets, &mut self.bytes)
            .and_then(|()| Ok(check_offsets(name, &self.offsets, self.bytes.len())?));
        if filled.is_err() {
            self.offsets.clear();
            self.offsets.push(0);
            self.bytes.clear();
        }
        filled
    }

    /// Adds the entries of a column whose offsets have just been checked against `bytes`.
    pub fn append_checked(&mut self, offsets: &[u32], bytes: &[u8]) {
        let base = self.end_offset();
        self.bytes.extend_from_slice(bytes);
        assert!(u32::try_from(self.bytes.len()).is_ok(), "a column holds at most 4 GiB");
        self.offsets.extend(offsets.iter().skip(1).map(|&offset| base + offset));
    }

    /// Moves the bytes into `buffer` and keeps `buffer`'s allocation. The column keeps its offsets and its
    /// number of entries. The caller must put the bytes back before the entries are read.
    pub fn detach(&mut self, buffer: &mut Vec<u8>) {
        buffer.clear();
        std::mem::swap(&mut self.bytes, buffer);
    }

    /// Gets back the bytes that it [detached](Column::detach). `fill` appends them to the empty buffer; their
    /// number is the same as before.
    pub(crate) fn reattach<E>(&mut self, fill: impl FnOnce(&mut Vec<u8>, usize) -> Result<(), E>) -> Result<(), E> {
        let len = self.end_offset() as usize;
        self.bytes.clear();
        let filled = fill(&mut self.bytes, len);
        self.bytes.resize(len, 0);
        filled
    }

    /// Keeps the first `rows` entries.
    pub fn truncate(&mut self, rows: usize) {
        self.offsets.truncate(rows.saturating_add(1));
        self.bytes.truncate(self.end_offset() as usize);
    }

    /// Removes the entries and keeps the buffers.
    pub fn clear(&mut self) {
        self.offsets.truncate(1);
        self.bytes.clear();
    }

    fn end_offset(&self) -> u32 {
        self.offsets.last().copied().unwrap_or(0)
    }

    #[inline]
    fn close_entry(&mut self) {
        let Ok(end) = u32::try_from(self.bytes.len()) else { panic_full() };
        self.offsets.push(end.max(self.end_offset()));
    }
}

#[cold]
#[expect(clippy::panic, reason = "the host's own limits keep columns a thousand times smaller")]
fn panic_full() -> ! {
    panic!("a column holds at most 4 GiB")
}

impl<'a> FromIterator<&'a [u8]> for Column {
    fn from_iter<I: IntoIterator<Item = &'a [u8]>>(entries: I) -> Self {
        let mut column = Self::new();
        for entry in entries {
            column.push(entry);
        }
        column
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_refused_assignment_leaves_the_column_empty() {
        let mut column: Column = [&b"a"[..], b"bc"].into_iter().collect();
        assert!(column.assign("c", &[0, 2, 1], b"xy").is_err());
        assert_eq!(column, Column::new());
    }

    proptest! {
        #[test]
        fn what_is_pushed_comes_out_in_order(
            entries in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..9), 0..20),
        ) {
            let column: Column = entries.iter().map(Vec::as_slice).collect();
            prop_assert_eq!(column.iter().map(<[u8]>::to_vec).collect::<Vec<_>>(), entries.clone());
            prop_assert_eq!(check_offsets("c", column.offsets(), column.byte_len()), Ok(entries.len()));
        }

        #[test]
        fn appending_ranges_is_the_same_as_pushing_their_entries(
            entries in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..9), 1..20),
            cut in any::<prop::sample::Index>(),
        ) {
            let column: Column = entries.iter().map(Vec::as_slice).collect();
            let cut = cut.index(entries.len());
            let mut copy = Column::new();
            copy.append_range(&column, 0, cut);
            copy.append_range(&column, cut, entries.len() + 3);
            prop_assert_eq!(copy, column);
        }

        #[test]
        fn any_offsets_are_either_refused_or_safe_to_read(
            offsets in prop::collection::vec(0u32..12, 0..8),
            bytes in prop::collection::vec(any::<u8>(), 0..12),
        ) {
            let mut column = Column::new();
            if let Ok(rows) = column.assign("c", &offsets, &bytes) {
                prop_assert_eq!(column.iter().map(<[u8]>::len).sum::<usize>(), bytes.len());
                prop_assert_eq!(rows, column.len());
            }
        }
    }
}
