use std::cmp::Ordering;

use super::state_table::Slot;

/// A slot, ordered by its key.
pub(super) struct ByKey<'a>(pub(super) &'a Slot);

impl Ord for ByKey<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.key.bytes().cmp(other.0.key.bytes())
    }
}

impl PartialOrd for ByKey<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for ByKey<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for ByKey<'_> {}
