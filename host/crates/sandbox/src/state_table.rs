use std::collections::BTreeMap;

use hashbrown::HashTable;

use super::small_bytes::{SmallBytes, on_heap};

/// A table of keyed state: its slots, and an index of them by the hash of the key.
#[derive(Debug, Default)]
pub(super) struct Table {
    index: HashTable<u32>,
    pub(super) slots: Vec<Slot>,
    /// The first free slot. The hash of a free slot is the number of the next one, or [`NO_SLOT`].
    free: Option<u32>,
}

/// A key with its value and its map. A slot is one cache line: with 10,000 keys, following a pointer to each
/// key cost a third of a put.
#[derive(Debug)]
pub(super) struct Slot {
    hash: u64,
    pub(super) key: SmallBytes,
    pub(super) value: Option<SmallBytes>,
    pub(super) map: Option<Box<Map>>,
}

/// The map of a key: values by subkey.
pub(super) type Map = BTreeMap<Box<[u8]>, SmallBytes>;

/// A full table makes room for more keys: for its number of keys divided by this.
const MORE_SLOTS: usize = 4;

/// Least number of keys for which a table makes room.
const LEAST_SLOTS: usize = 4;

/// The end of the list of free slots.
const NO_SLOT: u64 = u64::MAX;

/// The room that a table must allocate before its next key.
#[derive(Debug, Default)]
pub(super) struct Room {
    slots: usize,
    index: usize,
    pub(super) slots_bytes: u64,
    pub(super) index_bytes: u64,
    /// Bytes that the index frees when it has moved.
    pub(super) old_index_bytes: u64,
}

/// Bytes of an index for this number of keys: a power of two of buckets, of which an eighth stays free, with 4
/// bytes and one control byte each.
fn index_bytes(keys: usize) -> u64 {
    if keys == 0 {
        return 0;
    }
    let buckets = match keys {
        ..4 => 4,
        4..8 => 8,
        8..15 => 16,
        _ => (keys.saturating_mul(8) / 7).next_power_of_two(),
    };
    on_heap(buckets.saturating_mul(5).saturating_add(32))
}

impl Table {
    /// The room to allocate before the next key; empty unless the table is full.
    #[inline]
    pub(super) fn room_for_more(&self) -> Room {
        let mut room = Room::default();
        if self.free.is_none() && self.slots.len() == self.slots.capacity() {
            room.slots = (self.slots.len() / MORE_SLOTS).max(LEAST_SLOTS);
            room.slots_bytes = (room.slots * size_of::<Slot>()) as u64;
        }
        if self.index.len() == self.index.capacity() {
            room.index = self.index.len().max(LEAST_SLOTS / 2);
            room.index_bytes = index_bytes(self.index.len() + room.index);
            room.old_index_bytes = index_bytes(self.index.capacity());
        }
        room
    }

    pub(super) fn make(&mut self, room: &Room) {
        if room.slots > 0 {
            self.slots.reserve_exact(room.slots);
        }
        if room.index > 0 {
            let slots = &self.slots;
            self.index.reserve(room.index, |&slot| slots.get(slot as usize).map_or(0, |slot| slot.hash));
        }
    }

    /// Bytes of the table without its name, its long keys, and their values and maps.
    #[cfg(test)]
    pub(super) fn room_bytes(&self) -> u64 {
        (self.slots.capacity() * size_of::<Slot>()) as u64 + index_bytes(self.index.capacity())
    }

    pub(super) fn find(&self, hash: u64, key: &[u8]) -> Option<u32> {
        self.index
            .find(hash, |&slot| self.slots.get(slot as usize).is_some_and(|s| s.hash == hash && s.key.bytes() == key))
            .copied()
    }

    pub(super) fn insert(&mut self, hash: u64, key: &[u8]) -> u32 {
        let filled = Slot { hash, key: SmallBytes::new(key), value: None, map: None };
        let free = self.free.and_then(|slot| Some((slot, self.slots.get_mut(slot as usize)?)));
        let slot = if let Some((slot, place)) = free {
            self.free = u32::try_from(std::mem::replace(place, filled).hash).ok();
            slot
        } else {
            self.slots.push(filled);
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        };
        let slots = &self.slots;
        self.index.insert_unique(hash, slot, |&s| slots.get(s as usize).map_or(0, |s| s.hash));
        slot
    }

    /// Frees the slot of a key without a value and a map, so that another key may have it. Returns the bytes that the
    /// key had on the heap.
    pub(super) fn release(&mut self, slot: u32) -> u64 {
        let Some(vacant) = self.slots.get_mut(slot as usize).filter(|slot| slot.is_vacant()) else { return 0 };
        let Ok(entry) = self.index.find_entry(vacant.hash, |&found| found == slot) else { return 0 };
        entry.remove();
        let key = std::mem::replace(&mut vacant.key, SmallBytes::new(b""));
        vacant.map = None;
        vacant.hash = self.free.map_or(NO_SLOT, u64::from);
        self.free = Some(slot);
        SmallBytes::cost(key.bytes())
    }
}

impl Slot {
    pub(super) fn is_vacant(&self) -> bool {
        self.value.is_none() && self.map.as_ref().is_none_or(|map| map.is_empty())
    }
}
