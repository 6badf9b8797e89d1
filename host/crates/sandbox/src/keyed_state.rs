use std::cell::Cell;
use std::collections::BinaryHeap;
use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use super::by_key::ByKey;
use super::failure::HostTrap;
use super::small_bytes::{SmallBytes, on_heap};
use super::state_table::{Map, Slot, Table};
use super::unsaved_slots::Unsaved;
use sage_batch::Column;
use sage_machine::MemoryBudget;

/// The keyed state of one lane. The state outlives the guest that writes it.
///
/// A write takes effect at once and is noted in an undo log. `commit` clears the log, and `roll_back` undoes
/// its writes, so a call that fails leaves no trace. Every byte is taken from the instance's memory budget
/// before it is allocated. This includes the undo log, the allocator's overhead, and the spare capacity of
/// tables and maps.
///
/// Overwriting a value of up to 22 bytes allocates nothing.
#[derive(Debug)]
pub struct KeyedState {
    pub(super) tables: Vec<(Box<str>, Table)>,
    /// Indices of the tables, by name.
    directory: HashTable<u32>,
    pub(super) undo: Vec<Undo>,
    /// Log of committed writes for a copy in another process, if there is one.
    pub(super) changes: Option<Vec<u8>>,
    /// The slots that were written since the last epoch, if the run has epochs.
    pub(super) unsaved: Option<Unsaved>,
    pub(super) budget: Arc<MemoryBudget>,
    taken: u64,
    /// Bytes of `taken` that belong to the undo log. They are released when the call ends.
    undo_bytes: u64,
    /// Bytes taken from the budget for an answer that is being copied into the guest.
    lent: Cell<u64>,
    /// Bytes taken from the budget in advance during a call. The budget is an atomic that lanes share, too
    /// expensive for each write.
    pub(super) spare: u64,
}

/// Bytes to take in advance.
const AHEAD: u64 = 32 << 10;

#[derive(Debug)]
pub(super) enum Undo {
    Value { table: u32, slot: u32, before: Option<SmallBytes> },
    Entry { table: u32, slot: u32, subkey: Box<[u8]>, before: Option<SmallBytes>, change: EntryChange },
    Map { table: u32, slot: u32, before: Option<Box<Map>> },
}

/// The change of a map's entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EntryChange {
    /// The entry was written into an existing map.
    Written,
    /// The entry was written as the first of its map.
    First,
    /// The entry was removed.
    Removed,
}

/// Bytes of a table without its name and its slots: its place in the directory, which has spare capacity for as
/// many tables again.
const TABLE_BYTES: u64 = 256;
/// Bytes of a map without its entries: the map itself and the first node of its tree, which has room for 11
/// entries.
const MAP_BYTES: u64 = 560;
/// Bytes of a map's entry without its subkey and long value: its part of a node (456 bytes for 11 entries, 96
/// more for an inner node) of which 5 elevenths are used.
const ENTRY_BYTES: u64 = 112;
/// Bytes of an answer's entry without its content: an offset, and a bit that says whether the entry is present.
const ANSWER_ENTRY_BYTES: u64 = 5;
/// Bytes of a line of the undo log, doubled for the log's spare capacity.
pub(super) const UNDO_BYTES: u64 = 2 * size_of::<Undo>() as u64;

type Written = wasmtime::Result<()>;
type Scanned = wasmtime::Result<(Column, Column)>;

impl KeyedState {
    /// An empty state within `budget`.
    #[must_use]
    pub fn new(budget: Arc<MemoryBudget>) -> Self {
        let (tables, directory) = (Vec::new(), HashTable::new());
        let lent = Cell::new(0);
        Self {
            tables,
            directory,
            undo: Vec::new(),
            changes: None,
            unsaved: None,
            budget,
            taken: 0,
            undo_bytes: 0,
            lent,
            spare: 0,
        }
    }

    /// Number of keys with a value or a map, over all tables.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.tables.iter().map(|(_, table)| table.slots.iter().filter(|slot| !slot.is_vacant()).count()).sum()
    }

    /// A lookup of the values of one table, by key.
    pub(super) fn values<'a>(&'a self, table: &str) -> impl Fn(&[u8]) -> Option<&'a [u8]> + use<'a> {
        let table = self.table(table).map(|(_, table)| table);
        move |key| {
            let table = table?;
            let slot = table.slots.get(table.find(Self::hash(key), key)? as usize)?;
            slot.value.as_ref().map(SmallBytes::bytes)
        }
    }

    /// A lookup of the entries in one key's map, by subkey.
    pub(super) fn entries<'a>(&'a self, table: &str, key: &[u8]) -> impl Fn(&[u8]) -> Option<&'a [u8]> + use<'a> {
        let map = self.find(table, key).and_then(|slot| slot.map.as_ref());
        move |subkey| map?.get(subkey).map(SmallBytes::bytes)
    }

    /// Writes a value for each key, in order.
    pub(super) fn put<'a>(&mut self, table: &str, mut entries: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Written {
        let table = self.table_or_new(table)?;
        entries.try_for_each(|(key, value)| self.put_in(table, key, value))
    }

    /// Writes a value for a key of a table, with the table's index from [`KeyedState::table_or_new`].
    pub(super) fn put_in(&mut self, table: u32, key: &[u8], value: &[u8]) -> Written {
        let slot = self.slot_or_new(table, key)?;
        self.charge(SmallBytes::cost(value), UNDO_BYTES)?;
        let before = self.at(table, slot).and_then(|found| found.value.replace(SmallBytes::new(value)));
        self.note(Undo::Value { table, slot, before });
        Ok(())
    }

    pub(super) fn delete(&mut self, table: &str, key: &[u8]) -> Written {
        self.delete_value(table, key)?;
        self.delete_map(table, key)
    }

    pub(super) fn delete_value(&mut self, table: &str, key: &[u8]) -> Written {
        let Some((table, slot)) = self.locate(table, key) else { return Ok(()) };
        self.charge(0, UNDO_BYTES)?;
        let before = self.at(table, slot).and_then(|found| found.value.take());
        self.note(Undo::Value { table, slot, before });
        Ok(())
    }

    pub(super) fn delete_map(&mut self, table: &str, key: &[u8]) -> Written {
        let Some((table, slot)) = self.locate(table, key) else { return Ok(()) };
        self.charge(0, UNDO_BYTES)?;
        let before = self.at(table, slot).and_then(|found| found.map.take());
        self.note(Undo::Map { table, slot, before });
        Ok(())
    }

    pub(super) fn map_put(&mut self, table: &str, key: &[u8], subkey: &[u8], value: &[u8]) -> Written {
        let at = self.slot(table, key)?;
        self.map_put_at(at, subkey, value)
    }

    /// Writes an entry of the map of a key, with the key's slot from [`KeyedState::slot`].
    pub(super) fn map_put_at(&mut self, (table, slot): (u32, u32), subkey: &[u8], value: &[u8]) -> Written {
        let first = self.at(table, slot).is_some_and(|found| found.map.is_none());
        let (map, entry) = (if first { MAP_BYTES } else { 0 }, ENTRY_BYTES + on_heap(subkey.len()));
        self.charge(SmallBytes::cost(value) + entry + map, UNDO_BYTES + on_heap(subkey.len()))?;
        let before = self
            .at(table, slot)
            .and_then(|found| found.map.get_or_insert_default().insert(subkey.into(), SmallBytes::new(value)));
        if before.is_some() {
            self.refund(entry);
        }
        let change = if first { EntryChange::First } else { EntryChange::Written };
        self.note(Undo::Entry { table, slot, subkey: subkey.into(), before, change });
        Ok(())
    }

    pub(super) fn map_delete(&mut self, table: &str, key: &[u8], subkey: &[u8]) -> Written {
        self.locate(table, key).map_or(Ok(()), |at| self.map_delete_at(at, subkey))
    }

    /// Removes an entry of the map of a key, with the key's slot from [`KeyedState::locate`].
    pub(super) fn map_delete_at(&mut self, (table, slot): (u32, u32), subkey: &[u8]) -> Written {
        self.charge(0, UNDO_BYTES + on_heap(subkey.len()))?;
        let before = self.at(table, slot).and_then(|found| found.map.as_mut()?.remove(subkey));
        if before.is_some() {
            self.note(Undo::Entry { table, slot, subkey: subkey.into(), before, change: EntryChange::Removed });
        }
        Ok(())
    }

    /// Returns the subkeys and values of up to `limit` entries after `after`. `worked` is called with the bytes
    /// of each entry.
    pub(super) fn map_scan(
        &self,
        table: &str,
        key: &[u8],
        (after, limit): (Option<&[u8]>, usize),
        worked: &mut impl FnMut(usize) -> Written,
    ) -> Scanned {
        let (mut subkeys, mut values) = (Column::new(), Column::new());
        if let Some(map) = self.find(table, key).and_then(|slot| slot.map.as_ref()) {
            let from = match after {
                Some(after) => std::ops::Bound::Excluded(after),
                None => std::ops::Bound::Unbounded,
            };
            let mut answer = 0;
            for (subkey, value) in map.range::<[u8], _>((from, std::ops::Bound::Unbounded)).take(limit) {
                worked(subkey.len() + value.bytes().len())?;
                self.weigh_answer(&mut answer, subkey.len() + value.bytes().len())?;
                subkeys.push(subkey);
                values.push(value.bytes());
            }
        }
        Ok((subkeys, values))
    }

    /// Adds an entry to the size of an answer that the host builds and copies into the guest. The answer's
    /// bytes, with the spare capacity of a growing buffer, are taken from the instance's memory until the next
    /// answer begins or the call ends.
    ///
    /// # Errors
    /// The memory has no room for the answer. The error comes before the entry is added.
    pub(super) fn weigh_answer(&self, answer: &mut u64, entry: usize) -> Written {
        let is_first = *answer == 0;
        if is_first {
            self.take_back();
        }
        *answer = answer.saturating_add(entry as u64).saturating_add(ANSWER_ENTRY_BYTES);
        // Offsets have 32 bits.
        let wanted = match is_first {
            _ if *answer > u64::from(u32::MAX) => u64::MAX,
            true => *answer,
            false => answer.saturating_mul(2),
        };
        let lent = self.lent.get();
        if wanted <= lent {
            return Ok(());
        }
        let more = wanted - lent;
        // The budget is an atomic that lanes share, too expensive for each entry.
        let ahead = more.saturating_add(AHEAD);
        let more = if self.budget.has_room(ahead) { ahead } else { more };
        self.budget.reserve(more).map_err(|over| HostTrap::memory("an answer of keyed state", over))?;
        self.lent.set(lent + more);
        Ok(())
    }

    /// Releases the bytes of the last answer, which has been copied into the guest.
    fn take_back(&self) {
        let lent = self.lent.take();
        if lent > 0 {
            self.budget.release(lent);
        }
    }

    /// Returns up to `limit` keys of a table after `after`, in byte order, each with its value (empty if the
    /// key has only a map).
    ///
    /// Tables are ordered by hash, so each page reads all keys. This is fast enough for the end of a lane's
    /// input, but not for each batch. `worked` is called for each key.
    pub(super) fn keys_scan(
        &self,
        table: &str,
        (after, limit): (Option<&[u8]>, usize),
        worked: &mut impl FnMut(usize) -> Written,
    ) -> Scanned {
        let (mut keys, mut values) = (Column::new(), Column::new());
        let Some((_, table)) = self.table(table) else { return Ok((keys, values)) };
        // The smallest keys so far, at most `limit` of them, with the greatest on top.
        let mut found: BinaryHeap<ByKey<'_>> = BinaryHeap::new();
        for slot in &table.slots {
            let key = slot.key.bytes();
            worked(key.len())?;
            if slot.is_vacant() || after.is_some_and(|after| key <= after) {
                continue;
            }
            if found.len() < limit {
                found.push(ByKey(slot));
            } else if let Some(mut greatest) = found.peek_mut().filter(|greatest| key < greatest.0.key.bytes()) {
                *greatest = ByKey(slot);
            }
        }
        let mut answer = 0;
        for ByKey(slot) in found.into_sorted_vec() {
            let value: &[u8] = slot.value.as_ref().map_or(&[], SmallBytes::bytes);
            worked(value.len())?;
            self.weigh_answer(&mut answer, slot.key.bytes().len() + value.len())?;
            keys.push(slot.key.bytes());
            values.push(value);
        }
        Ok((keys, values))
    }

    /// Ends a successful call: its writes stay.
    pub(super) fn commit(&mut self) {
        self.take_back();
        if self.undo.is_empty() && self.spare == 0 {
            return;
        }
        self.note_changes();
        self.note_written_slots();
        let mut freed = 0;
        let mut undo = std::mem::take(&mut self.undo);
        let mut vacated = Vec::new();
        for line in undo.drain(..) {
            let (table, slot) = line.slot();
            freed += match line {
                Undo::Value { before, .. } => before.as_ref().map_or(0, |v| SmallBytes::cost(v.bytes())),
                Undo::Entry { table, slot, subkey, before, change } => {
                    let mut entry = 0;
                    if change == EntryChange::Removed {
                        entry = ENTRY_BYTES + on_heap(subkey.len()) + self.drop_emptied_map(table, slot);
                    }
                    entry + before.as_ref().map_or(0, |v| SmallBytes::cost(v.bytes()))
                }
                Undo::Map { before, .. } => map_cost(before.as_deref()),
            };
            self.note_vacated(table, slot, &mut vacated);
        }
        self.undo = undo;
        self.refund(freed);
        self.release_slots(vacated);
        self.end_undo();
    }

    /// Ends a failed call: its writes are undone.
    pub(super) fn roll_back(&mut self) {
        self.take_back();
        let mut vacated = Vec::new();
        while let Some(line) = self.undo.pop() {
            let (table, slot) = line.slot();
            match line {
                Undo::Value { table, slot, before } => {
                    let written = self.at(table, slot).and_then(|s| std::mem::replace(&mut s.value, before));
                    self.refund(written.map_or(0, |v| SmallBytes::cost(v.bytes())));
                }
                Undo::Entry { table, slot, subkey, before, change } => {
                    let mut entry = if before.is_some() { 0 } else { ENTRY_BYTES + on_heap(subkey.len()) };
                    let written = self.at(table, slot).and_then(|s| match before {
                        Some(before) => s.map.get_or_insert_default().insert(subkey, before),
                        None => s.map.as_mut()?.remove(&subkey),
                    });
                    if change == EntryChange::First {
                        entry += self.drop_emptied_map(table, slot);
                    }
                    self.refund(written.map_or(0, |v| SmallBytes::cost(v.bytes()) + entry));
                }
                Undo::Map { table, slot, before } => {
                    let written = self.at(table, slot).and_then(|s| std::mem::replace(&mut s.map, before));
                    self.refund(map_cost(written.as_deref()));
                }
            }
            self.note_vacated(table, slot, &mut vacated);
        }
        self.release_slots(vacated);
        self.end_undo();
    }

    /// Drops a map without entries. Returns the bytes that are freed.
    fn drop_emptied_map(&mut self, table: u32, slot: u32) -> u64 {
        let emptied = self.at(table, slot).and_then(|slot| slot.map.take_if(|map| map.is_empty()));
        emptied.map_or(0, |_| MAP_BYTES)
    }

    fn end_undo(&mut self) {
        self.refund(self.undo_bytes);
        self.undo_bytes = 0;
        self.end_call();
        // The log of a huge call should not stay in memory for ever.
        self.undo.shrink_to(4096);
    }

    pub(super) fn note(&mut self, line: Undo) {
        self.undo.push(line);
    }

    pub(super) fn charge(&mut self, kept: u64, undo: u64) -> Written {
        let bytes = kept + undo;
        if self.spare < bytes {
            self.reserve(bytes)?;
        }
        self.spare -= bytes;
        self.taken += bytes;
        self.undo_bytes += undo;
        Ok(())
    }

    #[cold]
    fn reserve(&mut self, bytes: u64) -> Written {
        let short = bytes - self.spare;
        if self.budget.has_room(short + AHEAD) && self.budget.reserve(short + AHEAD).is_ok() {
            self.spare += short + AHEAD;
            return Ok(());
        }
        self.budget.reserve(short).map_err(|over| HostTrap::memory("keyed state", over))?;
        self.spare += short;
        Ok(())
    }

    pub(super) fn refund(&mut self, bytes: u64) {
        let bytes = bytes.min(self.taken);
        self.taken -= bytes;
        self.spare += bytes;
    }

    pub(super) fn hash(key: &[u8]) -> u64 {
        FixedState::default().hash_one(key)
    }

    pub(super) fn table(&self, name: &str) -> Option<(usize, &Table)> {
        let number = *self.directory.find(Self::hash(name.as_bytes()), |&at| self.is_called(at, name))? as usize;
        self.tables.get(number).map(|(_, table)| (number, table))
    }

    fn is_called(&self, table: u32, name: &str) -> bool {
        self.tables.get(table as usize).is_some_and(|(found, _)| **found == *name)
    }

    /// The table and slot of a key, if the key exists.
    pub(super) fn locate(&self, table: &str, key: &[u8]) -> Option<(u32, u32)> {
        let (number, table) = self.table(table)?;
        let slot = table.find(Self::hash(key), key)?;
        Some((u32::try_from(number).ok()?, slot))
    }

    fn find(&self, table: &str, key: &[u8]) -> Option<&Slot> {
        let (_, table) = self.table(table)?;
        table.slots.get(table.find(Self::hash(key), key)? as usize)
    }

    pub(super) fn at(&mut self, table: u32, slot: u32) -> Option<&mut Slot> {
        self.tables.get_mut(table as usize)?.1.slots.get_mut(slot as usize)
    }

    /// The table and slot of a key. Both are created if they do not exist.
    pub(super) fn slot(&mut self, table: &str, key: &[u8]) -> wasmtime::Result<(u32, u32)> {
        let table = self.table_or_new(table)?;
        Ok((table, self.slot_or_new(table, key)?))
    }

    /// The index of a table. The table is created if it does not exist.
    pub(super) fn table_or_new(&mut self, name: &str) -> wasmtime::Result<u32> {
        let number = match self.table(name) {
            Some((number, _)) => number,
            None => {
                self.charge(TABLE_BYTES + on_heap(name.len()), 0)?;
                let (tables, number) = (&self.tables, u32::try_from(self.tables.len()).unwrap_or(u32::MAX));
                let hash = |&at: &u32| tables.get(at as usize).map_or(0, |(name, _)| Self::hash(name.as_bytes()));
                self.directory.insert_unique(Self::hash(name.as_bytes()), number, hash);
                self.tables.push((name.into(), Table::default()));
                self.tables.len() - 1
            }
        };
        Ok(u32::try_from(number).unwrap_or(u32::MAX))
    }

    /// Finds or creates a slot. A slot stays until the end of the call that deletes its value and map, or, in a run with
    /// epochs, until the deletion is saved.
    pub(super) fn slot_or_new(&mut self, table: u32, key: &[u8]) -> wasmtime::Result<u32> {
        let hash = Self::hash(key);
        let found = self.tables.get(table as usize).and_then(|(_, table)| table.find(hash, key));
        if let Some(slot) = found {
            return Ok(slot);
        }
        let room = self.tables.get(table as usize).map(|(_, table)| table.room_for_more()).unwrap_or_default();
        self.charge(room.slots_bytes + room.index_bytes + SmallBytes::cost(key), 0)?;
        if let Some((_, table)) = self.tables.get_mut(table as usize) {
            table.make(&room);
        }
        // The index moved and its old memory is free.
        self.refund(room.old_index_bytes);
        Ok(self.tables.get_mut(table as usize).map_or(0, |(_, table)| table.insert(hash, key)))
    }
}

impl Drop for KeyedState {
    fn drop(&mut self) {
        self.budget.release(self.taken + self.spare + self.lent.get());
    }
}

fn entry_cost(subkey: &[u8], value: &SmallBytes) -> u64 {
    ENTRY_BYTES + on_heap(subkey.len()) + SmallBytes::cost(value.bytes())
}

fn map_cost(map: Option<&Map>) -> u64 {
    map.map_or(0, |map| MAP_BYTES + map.iter().map(|(subkey, value)| entry_cost(subkey, value)).sum::<u64>())
}

#[cfg(test)]
#[path = "keyed_state_tests.rs"]
mod tests;
