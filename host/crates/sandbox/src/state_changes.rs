//! The writes of calls to keyed state, as bytes. With them, another process keeps a copy of the state: a
//! worker's state must outlive the worker.
//!
//! A line is a tag and its texts, each with its length before it. A line holds the state after the call, so
//! replaying it twice does no harm.

use std::collections::HashSet;

use foldhash::fast::FixedState;

use super::keyed_state::{KeyedState, Undo};
use super::small_bytes::SmallBytes;
use super::state_table::Slot;
use sage_batch::wire::WireError;

/// The table of the lines after this one.
pub(super) const TABLE: u8 = b'T';
pub(super) const PUT: u8 = b'P';
pub(super) const DELETE_VALUE: u8 = b'V';
pub(super) const DELETE_MAP: u8 = b'M';
pub(super) const PUT_ENTRY: u8 = b'E';
pub(super) const DELETE_ENTRY: u8 = b'D';

/// Size in bytes from which on a chunk of a copy is sent.
pub(super) const CHUNK: usize = 256 << 10;

impl KeyedState {
    /// Makes every commit note its writes, for [`KeyedState::take_changes`].
    pub fn keep_changes(&mut self) {
        self.changes.get_or_insert_default();
    }

    /// Takes the writes of calls since the last call of this method.
    pub fn take_changes(&mut self, into: &mut Vec<u8>) {
        into.clear();
        if let Some(changes) = &mut self.changes {
            std::mem::swap(changes, into);
        }
    }

    /// Notes the writes of a successful call, while the undo log still names them.
    ///
    /// Each entry is noted once, even if the call wrote it many times. Therefore a copy with the same budget
    /// never needs more of it than the original.
    pub(super) fn note_changes(&mut self) {
        let Some(changes) = self.changes.take() else { return };
        let mut lines = Lines { written: changes, table: None };
        // The dropped maps come first. Later writes of the call to the same maps then follow.
        let mut dropped = HashSet::with_hasher(FixedState::default());
        for line in &self.undo {
            if let Undo::Map { table, slot, .. } = line
                && dropped.insert((*table, *slot))
                && let Some(found) = self.about(&mut lines, *table, *slot)
            {
                write(&mut lines.written, DELETE_MAP, &[found.key.bytes()]);
            }
        }
        let mut noted = HashSet::with_hasher(FixedState::default());
        for line in &self.undo {
            let (table, slot, subkey) = match line {
                Undo::Value { table, slot, .. } => (*table, *slot, None),
                Undo::Entry { table, slot, subkey, .. } => (*table, *slot, Some(&**subkey)),
                Undo::Map { .. } => continue,
            };
            if !noted.insert((table, slot, subkey)) {
                continue;
            }
            let Some(found) = self.about(&mut lines, table, slot) else { continue };
            let (to, key) = (&mut lines.written, found.key.bytes());
            match subkey {
                None => match &found.value {
                    Some(value) => write(to, PUT, &[key, value.bytes()]),
                    None => write(to, DELETE_VALUE, &[key]),
                },
                Some(subkey) => match found.map.as_ref().and_then(|map| map.get(subkey)) {
                    Some(value) => write(to, PUT_ENTRY, &[key, subkey, value.bytes()]),
                    None => write(to, DELETE_ENTRY, &[key, subkey]),
                },
            }
        }
        self.changes = Some(lines.written);
    }

    /// The slot of the next line. Switches the lines to the slot's table if necessary.
    fn about(&self, lines: &mut Lines, table: u32, slot: u32) -> Option<&Slot> {
        let (name, found) = self.tables.get(table as usize)?;
        let found = found.slots.get(slot as usize)?;
        if lines.table.replace(table) != Some(table) {
            write(&mut lines.written, TABLE, &[name.as_bytes()]);
        }
        Some(found)
    }

    /// Applies changes that another process sent.
    ///
    /// # Errors
    /// The bytes are not valid changes, or the budget is too small for them. The state is then unchanged.
    pub fn play(&mut self, changes: &[u8]) -> Result<(), WireError> {
        let played = self.play_lines(changes);
        match played {
            Ok(()) => self.commit(),
            Err(_) => self.roll_back(),
        }
        played
    }

    fn play_lines(&mut self, changes: &[u8]) -> Result<(), WireError> {
        let mut rest = changes;
        let mut table = String::new();
        while let Some((&tag, after)) = rest.split_first() {
            rest = after;
            let first = text(&mut rest)?;
            let written = match tag {
                TABLE => {
                    table = String::from_utf8(first.to_vec())
                        .map_err(|_| WireError::broken("a table's name is not UTF-8"))?;
                    continue;
                }
                PUT => {
                    let value = text(&mut rest)?;
                    self.put(&table, [(first, value)].into_iter())
                }
                DELETE_VALUE => self.delete_value(&table, first),
                DELETE_MAP => self.delete_map(&table, first),
                PUT_ENTRY => {
                    let (subkey, value) = (text(&mut rest)?, text(&mut rest)?);
                    self.map_put(&table, first, subkey, value)
                }
                DELETE_ENTRY => {
                    let subkey = text(&mut rest)?;
                    self.map_delete(&table, first, subkey)
                }
                _ => return Err(WireError::broken(format!("a state change of kind {tag}"))),
            };
            written.map_err(|error| WireError::broken(error.to_string()))?;
        }
        Ok(())
    }

    /// Passes the whole state to `send` as changes, chunk by chunk. A new process begins with them.
    ///
    /// # Errors
    /// The errors of `send`.
    pub fn copy_out<E>(&self, mut send: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let mut chunk = Vec::new();
        for (name, table) in &self.tables {
            if table.slots.iter().all(Slot::is_vacant) {
                continue;
            }
            write(&mut chunk, TABLE, &[name.as_bytes()]);
            for slot in &table.slots {
                write_slot(&mut chunk, slot);
                if chunk.len() >= CHUNK {
                    send(&chunk)?;
                    chunk.clear();
                    write(&mut chunk, TABLE, &[name.as_bytes()]);
                }
            }
        }
        if chunk.is_empty() { Ok(()) } else { send(&chunk) }
    }
}

/// Lines that are being written.
struct Lines {
    written: Vec<u8>,
    /// Table of the last line.
    table: Option<u32>,
}

pub(super) fn write_slot(to: &mut Vec<u8>, slot: &Slot) {
    let key = slot.key.bytes();
    if let Some(value) = &slot.value {
        write(to, PUT, &[key, value.bytes()]);
    }
    for (subkey, value) in slot.map.iter().flat_map(|map| map.iter()) {
        write(to, PUT_ENTRY, &[key, subkey, SmallBytes::bytes(value)]);
    }
}

pub(super) fn write(to: &mut Vec<u8>, tag: u8, texts: &[&[u8]]) {
    to.push(tag);
    for text in texts {
        to.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
        to.extend_from_slice(text);
    }
}

pub(super) fn text<'a>(from: &mut &'a [u8]) -> Result<&'a [u8], WireError> {
    let short = || WireError::broken("a state change ends too early");
    let (length, rest) = from.split_first_chunk::<4>().ok_or_else(short)?;
    let (text, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or_else(short)?;
    *from = rest;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::state_steps::{Step, steps};
    use sage_machine::MemoryBudget;

    fn empty(cap: u64) -> KeyedState {
        KeyedState::new(Arc::new(MemoryBudget::new(cap)))
    }

    #[test]
    fn what_a_call_writes_many_times_is_noted_once_and_fits_where_the_original_fits() {
        let cap = 1 << 20;
        let (mut state, mut copy) = (empty(cap), empty(cap));
        state.keep_changes();
        let mut changes = Vec::new();
        let long_key = [7; 1000];
        // A value that grows with each record. The undo log holds every step, half of the budget.
        for length in 0..1000 {
            state.put("t", [(&long_key[..], &vec![1; length][..])].into_iter()).unwrap();
            state.map_put("t", b"k", b"s", &length.to_le_bytes()).unwrap();
        }
        state.delete_map("t", b"k").unwrap();
        for length in 0..100_u32 {
            state.map_put("t", b"k", b"s", &length.to_le_bytes()).unwrap();
        }
        state.commit();
        state.take_changes(&mut changes);
        assert!(changes.len() < 3000, "{} bytes", changes.len());
        copy.play(&changes).unwrap();
        assert_eq!(contents(&copy), contents(&state));
    }

    #[test]
    fn changes_that_break_off_change_nothing() {
        let mut state = empty(1 << 20);
        state.put("t", [(&b"k"[..], &b"before"[..])].into_iter()).unwrap();
        state.commit();
        let before = contents(&state);
        let mut changes = Vec::new();
        write(&mut changes, TABLE, &[b"t"]);
        write(&mut changes, PUT, &[b"k", b"after"]);
        changes.push(PUT);
        assert!(state.play(&changes).is_err());
        assert_eq!(contents(&state), before);
    }

    fn contents(state: &KeyedState) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        for slot in state.tables.iter().flat_map(|(_, table)| &table.slots) {
            let mut line = Vec::new();
            write_slot(&mut line, slot);
            if !line.is_empty() {
                all.push(line);
            }
        }
        all.sort();
        all
    }

    proptest! {
        #[test]
        fn a_copy_that_plays_every_change_is_the_same_as_the_original(steps in steps()) {
            let mut state = empty(1 << 20);
            state.keep_changes();
            let mut copy = empty(1 << 20);
            let mut changes = Vec::new();
            for step in steps.into_iter().chain([Step::Commit]) {
                match step {
                    Step::Change(change) => change.make(&mut state),
                    Step::RollBack => state.roll_back(),
                    Step::Commit => {
                        state.commit();
                        state.take_changes(&mut changes);
                        copy.play(&changes).unwrap();
                        prop_assert_eq!(contents(&copy), contents(&state));
                    }
                }
            }
            let mut fresh = empty(1 << 20);
            copy.copy_out(|chunk| fresh.play(chunk)).unwrap();
            prop_assert_eq!(contents(&fresh), contents(&state));
        }

        #[test]
        fn any_bytes_are_changes_or_an_error(
            bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(0u8), Just(b'P'), Just(b'T')], 0..60),
        ) {
            let _ = empty(1 << 10).play(&bytes);
        }
    }
}
