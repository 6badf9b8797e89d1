/// Where the elements of each list begin and end among the elements of all lists: n + 1 rising numbers from 0 for n
/// lists, as in Arrow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offsets {
    numbers: Vec<u32>,
}

impl Default for Offsets {
    fn default() -> Self {
        Self { numbers: vec![0] }
    }
}

impl Offsets {
    /// The n + 1 numbers.
    #[must_use]
    pub fn numbers(&self) -> &[u32] {
        &self.numbers
    }

    /// Number of lists.
    #[must_use]
    pub fn len(&self) -> usize {
        self.numbers.len() - 1
    }

    /// Whether there is no list.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of elements of all lists.
    #[must_use]
    pub fn end(&self) -> usize {
        self.start(self.len())
    }

    /// Number of the first element of list `row`. The number of all elements past the last list.
    pub(super) fn start(&self, row: usize) -> usize {
        self.numbers.get(row).or(self.numbers.last()).map_or(0, |&number| number as usize)
    }

    pub(super) fn weight(&self) -> usize {
        size_of::<u32>() * self.len()
    }

    pub(super) fn capacity(&self) -> usize {
        size_of::<u32>() * self.numbers.capacity()
    }

    pub(super) fn clear(&mut self) {
        self.numbers.truncate(1);
    }

    pub(super) fn truncate(&mut self, rows: usize) {
        self.numbers.truncate(rows.saturating_add(1));
    }

    /// Ends a list at this number of elements in all.
    pub(super) fn push(&mut self, end: u32) {
        let last = self.numbers.last().copied().unwrap_or(0);
        self.numbers.push(end.max(last));
    }

    /// Adds an empty list.
    pub(super) fn push_nothing(&mut self) {
        self.push(0);
    }

    /// Adds lists `start..end` of `other`, with as many elements each.
    pub(super) fn append_range(&mut self, other: &Self, start: usize, end: usize) {
        let (base, first) = (self.end(), other.start(start));
        let ends = other.numbers.get(start + 1..=end.min(other.len())).unwrap_or_default();
        // A column never holds 2^32 elements: the bytes of a batch are bounded far below that.
        let moved = |&number: &u32| u32::try_from(base + (number as usize - first)).unwrap_or(u32::MAX);
        self.numbers.extend(ends.iter().map(moved));
    }

    /// Becomes these numbers, which have been checked.
    pub(super) fn assign_checked(&mut self, numbers: &[u32]) {
        self.numbers.clear();
        self.numbers.extend_from_slice(numbers);
    }

    /// Becomes the numbers that `fill` writes into the emptied buffer, if `check` finds no fault in them. Otherwise
    /// there are no lists.
    pub(super) fn refill<E>(
        &mut self,
        fill: impl FnOnce(&mut Vec<u32>) -> Result<(), E>,
        check: impl FnOnce(&[u32]) -> Result<(), E>,
    ) -> Result<(), E> {
        let filled = fill(&mut self.numbers).and_then(|()| check(&self.numbers));
        if filled.is_err() {
            self.numbers.clear();
            self.numbers.push(0);
        }
        filled
    }
}

/// The number of structs in a column; their values are those of their members.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rows(usize);

impl Rows {
    /// Number of structs.
    #[must_use]
    pub fn len(self) -> usize {
        self.0
    }

    /// Whether there is no struct.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    #[expect(clippy::unused_self, reason = "as other layouts")]
    pub(super) fn weight(self) -> usize {
        0
    }

    #[expect(clippy::unused_self, reason = "as other layouts")]
    pub(super) fn capacity(self) -> usize {
        0
    }

    pub(super) fn clear(&mut self) {
        self.0 = 0;
    }

    pub(super) fn truncate(&mut self, rows: usize) {
        self.0 = self.0.min(rows);
    }

    pub(super) fn push_nothing(&mut self) {
        self.0 += 1;
    }

    pub(super) fn append_range(&mut self, other: &Self, start: usize, end: usize) {
        self.0 += end.min(other.0).saturating_sub(start);
    }

    pub(super) fn assign_checked(&mut self, rows: usize) {
        self.0 = rows;
    }
}
