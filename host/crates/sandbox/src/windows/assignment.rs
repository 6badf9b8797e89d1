use hashbrown::HashTable;

use super::due::Place;
use super::session_slots::SessionSlots;
use sage_batch::{Column, RawColumns};
use sage_time::Window;

/// The slots of a batch: which record is folded into which accumulator. The buffers are used again for the next batch.
#[derive(Debug, Default)]
pub(super) struct Assignment {
    /// The records that are folded, and the slot of each, in the order of the records.
    pub(super) rows: Vec<u32>,
    pub(super) slots: Vec<u32>,
    /// The accumulator of each slot so far.
    pub(super) accumulators: Column,
    /// A bit for each slot: it has no accumulator yet.
    pub(super) new: Vec<u8>,
    /// Records that came too late for all of their windows.
    pub(super) late: Vec<u32>,
    /// Records that belong to no window, with the reason.
    pub(super) refused: Vec<(u32, String)>,
    /// Tumbling and sliding windows: the window of each slot.
    pub(super) windows: Vec<FixedSlot>,
    /// Tumbling and sliding windows: the slot of each place in the state.
    pub(super) by_place: HashTable<(u32, u32)>,
    /// Sessions: the sessions of the keys in the batch.
    pub(super) sessions: SessionSlots,
    /// The key of a window in the state.
    pub(super) scratch: Vec<u8>,
}

/// A tumbling or sliding window that a batch has records of.
#[derive(Debug, Clone, Copy)]
pub(super) struct FixedSlot {
    pub(super) place: Place,
    pub(super) window: Window,
    pub(super) emissions: u32,
    /// Whether the index has an entry for the window's end.
    pub(super) is_noted: bool,
}

impl Assignment {
    pub(super) fn clear(&mut self) {
        self.rows.clear();
        self.slots.clear();
        self.accumulators.clear();
        self.new.clear();
        self.late.clear();
        self.refused.clear();
        self.windows.clear();
        self.by_place.clear();
        self.sessions.clear();
    }

    /// Number of slots so far.
    pub(super) fn slot_count(&self) -> usize {
        self.accumulators.len()
    }

    /// Adds a slot with its accumulator so far.
    pub(super) fn add_slot(&mut self, accumulator: Option<&[u8]>) -> u32 {
        let slot = self.slot_count();
        if slot.is_multiple_of(8) {
            self.new.push(0);
        }
        if accumulator.is_none()
            && let Some(byte) = self.new.last_mut()
        {
            *byte |= 1 << (slot % 8);
        }
        self.accumulators.push(accumulator.unwrap_or_default());
        u32::try_from(slot).unwrap_or(u32::MAX)
    }

    /// Records that no window holds because they have no key or no time, and the reason.
    pub(super) fn refuse_all(&mut self, rows: usize, reason: &str) {
        self.refused.extend((0..u32::try_from(rows).unwrap_or(u32::MAX)).map(|row| (row, reason.to_owned())));
    }
}

/// The records of a batch that windows need: their keys and times.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timed<'a> {
    keys: (&'a [u32], &'a [u8]),
    pub(super) times: &'a [i64],
}

impl<'a> Timed<'a> {
    /// # Errors
    /// Why the records belong to no window.
    pub(super) fn of(columns: &RawColumns<'a>) -> Result<Self, &'static str> {
        match (columns.keys, columns.timestamps) {
            (_, None) => Err("the record has no event time, which its window needs"),
            (None, _) => Err("the record has no key, which its window needs"),
            (Some(keys), Some(times)) => Ok(Self { keys, times }),
        }
    }

    /// The key of a record. The columns were checked.
    pub(super) fn key(&self, row: usize) -> &'a [u8] {
        let (offsets, bytes) = self.keys;
        let end = |at: usize| offsets.get(at).map_or(0, |&offset| offset as usize);
        bytes.get(end(row)..end(row + 1)).unwrap_or_default()
    }
}

/// The reason for a record whose window would leave the range of times.
pub(super) fn out_of_range(time: i64) -> String {
    format!("the event time {time} (microseconds) is too near the end of the range of times for a window")
}
