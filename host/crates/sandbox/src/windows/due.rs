use std::collections::BTreeMap;
use std::sync::Arc;

use crate::failure::HostTrap;
use sage_machine::MemoryBudget;

/// A window in the index: the slot of the keyed state, and the start, which tells the sessions of a key apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) slot: u32,
    pub(super) start: i64,
}

/// The windows by the watermark at which something is due: to finish them, or to forget them. An entry may be out of
/// date: the session has grown since, or the window is gone. Its reader looks into the state.
#[derive(Debug)]
pub(super) struct Due {
    by_time: BTreeMap<i64, Bucket>,
    budget: Arc<MemoryBudget>,
    places: usize,
    /// Bytes that were taken from the budget.
    taken: u64,
}

#[derive(Debug, Default)]
struct Bucket {
    places: Vec<Place>,
    /// Whether the places are in the order in which they are due, the first at the end.
    sorted: bool,
}

/// Bytes of a place: its share of a bucket with spare capacity, and of the tree if it has a bucket alone.
const PLACE_BYTES: u64 = 96;
/// Places for which memory is taken at once.
const AHEAD: usize = 256;

impl Due {
    pub(super) fn new(budget: Arc<MemoryBudget>) -> Self {
        Self { by_time: BTreeMap::new(), budget, places: 0, taken: 0 }
    }

    /// Notes that something is due at `time`.
    ///
    /// # Errors
    /// The instance's memory has no room for the entry.
    pub(super) fn note(&mut self, time: i64, place: Place) -> wasmtime::Result<()> {
        if (self.places as u64 + 1).saturating_mul(PLACE_BYTES) > self.taken {
            let more = AHEAD as u64 * PLACE_BYTES;
            self.budget.reserve(more).map_err(|over| HostTrap::memory("windows", over))?;
            self.taken += more;
        }
        self.places += 1;
        let bucket = self.by_time.entry(time).or_default();
        bucket.places.push(place);
        bucket.sorted = false;
        Ok(())
    }

    /// Whether anything is due at this watermark.
    pub(super) fn is_due(&self, watermark: i64) -> bool {
        self.by_time.first_key_value().is_some_and(|(time, _)| *time <= watermark)
    }

    /// Takes the first place that is due at this watermark: by time, and then by the order that `by_key` gives.
    pub(super) fn take(
        &mut self,
        watermark: i64,
        by_key: impl Fn(&Place, &Place) -> std::cmp::Ordering,
    ) -> Option<(i64, Place)> {
        let mut first = self.by_time.first_entry().filter(|entry| *entry.key() <= watermark)?;
        let time = *first.key();
        let bucket = first.get_mut();
        if !std::mem::replace(&mut bucket.sorted, true) {
            bucket.places.sort_unstable_by(|one, other| by_key(other, one));
        }
        let place = bucket.places.pop();
        if bucket.places.is_empty() {
            first.remove();
        }
        self.places = self.places.saturating_sub(1);
        self.give_back();
        Some((time, place?))
    }

    fn give_back(&mut self) {
        let spare = self.taken.saturating_sub((self.places + 2 * AHEAD) as u64 * PLACE_BYTES);
        if spare >= AHEAD as u64 * PLACE_BYTES {
            self.budget.release(spare);
            self.taken -= spare;
        }
    }
}

impl Drop for Due {
    fn drop(&mut self) {
        self.budget.release(self.taken);
    }
}
