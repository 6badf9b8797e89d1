use crate::keyed_state::{KeyedState, UNDO_BYTES, Undo};
use crate::small_bytes::SmallBytes;
use sage_time::{Window, WindowRules, WindowShape};

/// The table of the windows. Tumbling and sliding windows: the value of the key with the start behind it. Sessions: the
/// map of the key, by start.
pub(super) const WINDOWS: &str = "windows";
/// The table of the watermark and of the rules by which the windows were made.
pub(super) const CLOCK: &str = "clock";
pub(super) const WATERMARK: &[u8] = b"watermark";
pub(super) const RULES: &[u8] = b"rules";

/// Bit of the first number of an entry: the window has records that it has not been finished with.
const UNFINISHED: u32 = 1 << 31;

/// What the state has of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    /// How often the window was finished.
    pub(super) emissions: u32,
    /// Whether the window has records that it has not been finished with.
    pub(super) unfinished: bool,
    /// A session: its end.
    pub(super) end: Option<i64>,
    pub(super) accumulator: &'a [u8],
}

impl<'a> Entry<'a> {
    pub(super) fn read(bytes: &'a [u8], has_end: bool) -> Option<Self> {
        let (head, rest) = bytes.split_first_chunk::<4>()?;
        let head = u32::from_le_bytes(*head);
        let (end, accumulator) = match has_end {
            false => (None, rest),
            true => {
                let (end, rest) = rest.split_first_chunk::<8>()?;
                (Some(i64::from_le_bytes(*end)), rest)
            }
        };
        Some(Self { emissions: head & !UNFINISHED, unfinished: head & UNFINISHED != 0, end, accumulator })
    }

    /// Writes the entry over the content of `to`.
    pub(super) fn write(&self, to: &mut Vec<u8>) {
        to.clear();
        let bit = if self.unfinished { UNFINISHED } else { 0 };
        to.extend_from_slice(&(self.emissions & !UNFINISHED | bit).to_le_bytes());
        to.extend(self.end.iter().flat_map(|end| end.to_le_bytes()));
        to.extend_from_slice(self.accumulator);
    }
}

/// A time as bytes whose order is that of the times.
pub(super) fn ordered(time: i64) -> [u8; 8] {
    (time ^ i64::MIN).to_be_bytes()
}

/// The time of [`ordered`] bytes.
pub(super) fn time_of(bytes: &[u8]) -> Option<i64> {
    Some(i64::from_be_bytes(bytes.try_into().ok()?) ^ i64::MIN)
}

/// Length of tumbling and sliding windows. `None` for sessions.
pub(super) fn fixed_size(rules: &WindowRules) -> Option<i64> {
    match rules.shape {
        WindowShape::Tumbling { size } | WindowShape::Sliding { size, .. } => Some(size),
        WindowShape::Session { .. } => None,
    }
}

/// Splits the key of a tumbling or sliding window into the key of its records and the window.
pub(super) fn split_key(key: &[u8], size: i64) -> Option<(&[u8], Window)> {
    let (key, start) = key.split_last_chunk::<8>()?;
    let start = time_of(start)?;
    Some((key, Window { start, end: start.saturating_add(size) }))
}

/// The rules as the state has them. Windows of other rules cannot be continued; how late records may come can change.
pub(super) fn written_rules(rules: &WindowRules) -> String {
    match rules.shape {
        WindowShape::Tumbling { size } => format!("tumbling {size} offset {}", rules.offset),
        WindowShape::Sliding { size, every } => format!("sliding {size} every {every} offset {}", rules.offset),
        WindowShape::Session { gap } => format!("session {gap}"),
    }
}

impl KeyedState {
    /// The slot of a key in a table, which is named by its index.
    pub(super) fn find_in(&self, table: u32, key: &[u8]) -> Option<u32> {
        let (_, table) = self.tables.get(table as usize)?;
        table.find(Self::hash(key), key)
    }

    /// The slot of a key in a table, which is made if it is not there.
    pub(super) fn slot_in(&mut self, table: u32, key: &[u8]) -> wasmtime::Result<u32> {
        self.slot_or_new(table, key)
    }

    /// The key in a slot.
    pub(super) fn key_at(&self, table: u32, slot: u32) -> Option<&[u8]> {
        let (_, table) = self.tables.get(table as usize)?;
        Some(table.slots.get(slot as usize)?.key.bytes())
    }

    /// The value in a slot.
    pub(super) fn value_at(&self, table: u32, slot: u32) -> Option<&[u8]> {
        let (_, table) = self.tables.get(table as usize)?;
        table.slots.get(slot as usize)?.value.as_ref().map(SmallBytes::bytes)
    }

    /// An entry of the map in a slot.
    pub(super) fn entry_at(&self, table: u32, slot: u32, subkey: &[u8]) -> Option<&[u8]> {
        let (_, table) = self.tables.get(table as usize)?;
        table.slots.get(slot as usize)?.map.as_ref()?.get(subkey).map(SmallBytes::bytes)
    }

    /// The entries of the map in a slot, by subkey.
    pub(super) fn entries_at(&self, table: u32, slot: u32) -> impl Iterator<Item = (&[u8], &[u8])> {
        let slot = self.tables.get(table as usize).and_then(|(_, table)| table.slots.get(slot as usize));
        let map = slot.and_then(|slot| slot.map.as_ref());
        map.into_iter().flat_map(|map| map.iter()).map(|(subkey, value)| (&**subkey, value.bytes()))
    }

    /// Number of slots of a table, free ones included.
    pub(super) fn slots_in(&self, table: u32) -> u32 {
        let slots = self.tables.get(table as usize).map_or(0, |(_, table)| table.slots.len());
        u32::try_from(slots).unwrap_or(u32::MAX)
    }

    /// Writes the value of a slot.
    pub(super) fn put_at(&mut self, table: u32, slot: u32, value: &[u8]) -> wasmtime::Result<()> {
        self.charge(SmallBytes::cost(value), UNDO_BYTES)?;
        let before = self.at(table, slot).and_then(|found| found.value.replace(SmallBytes::new(value)));
        self.note(Undo::Value { table, slot, before });
        Ok(())
    }

    /// Deletes the value of a slot.
    pub(super) fn delete_at(&mut self, table: u32, slot: u32) -> wasmtime::Result<()> {
        self.charge(0, UNDO_BYTES)?;
        let before = self.at(table, slot).and_then(|found| found.value.take());
        self.note(Undo::Value { table, slot, before });
        Ok(())
    }
}
