//! What calls wrote to keyed state, as bytes, so that another process keeps a copy of it: a worker's state must outlive the worker.
//!
//! A line is a tag, then its texts, each with its length before it. Lines hold what stands there after the call, so playing them twice
//! does no harm.

use std::sync::Arc;

use super::keyed_state::{KeyedState, Slot, Undo};
use super::small_bytes::SmallBytes;
use crate::batch::wire::WireError;
use crate::resources::MemoryBudget;

/// The table that the lines after this one are about.
const TABLE: u8 = b'T';
const PUT: u8 = b'P';
const DELETE_VALUE: u8 = b'V';
const DELETE_MAP: u8 = b'M';
const PUT_ENTRY: u8 = b'E';
const DELETE_ENTRY: u8 = b'D';

/// How much of a copy is handed out at a time.
const CHUNK: usize = 256 << 10;

impl KeyedState {
    /// Has every commit note what it wrote, for [`KeyedState::take_changes`].
    pub fn keep_changes(&mut self) {
        self.changes.get_or_insert_default();
    }

    /// What calls have written since this was last asked.
    pub fn take_changes(&mut self, into: &mut Vec<u8>) {
        into.clear();
        if let Some(changes) = &mut self.changes {
            std::mem::swap(changes, into);
        }
    }

    /// The call succeeded: its writes are noted while the undo log still says which they are.
    pub(super) fn note_changes(&mut self) {
        let Some(mut changes) = self.changes.take() else { return };
        let mut current = None;
        for line in &self.undo {
            let (Undo::Value { table, slot, .. } | Undo::Entry { table, slot, .. } | Undo::Map { table, slot, .. }) =
                line;
            let Some((name, found)) = self
                .tables
                .get(*table as usize)
                .and_then(|(name, table)| Some((name, table.slots.get(*slot as usize)?)))
            else {
                continue;
            };
            if current != Some(*table) {
                write(&mut changes, TABLE, &[name.as_bytes()]);
                current = Some(*table);
            }
            let key = found.key.bytes();
            match line {
                Undo::Value { .. } => match &found.value {
                    Some(value) => write(&mut changes, PUT, &[key, value.bytes()]),
                    None => write(&mut changes, DELETE_VALUE, &[key]),
                },
                Undo::Map { .. } => write(&mut changes, DELETE_MAP, &[key]),
                Undo::Entry { subkey, .. } => match found.map.as_ref().and_then(|map| map.get(subkey)) {
                    Some(value) => write(&mut changes, PUT_ENTRY, &[key, subkey, value.bytes()]),
                    None => write(&mut changes, DELETE_ENTRY, &[key, subkey]),
                },
            }
        }
        self.changes = Some(changes);
    }

    /// Plays changes that another process sent. What came before an error stands.
    ///
    /// # Errors
    /// Bytes that are no changes, and more than the budget has room for.
    pub fn play(&mut self, changes: &[u8]) -> Result<(), WireError> {
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
        self.commit();
        Ok(())
    }

    /// Everything that is kept, as changes, chunk by chunk: what a new process begins with.
    ///
    /// # Errors
    /// Those of `send`.
    pub fn copy_out<E>(&self, mut send: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let mut chunk = Vec::new();
        for (name, table) in &self.tables {
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

    /// A state with nothing in it, within a budget of its own: a copy of another process's.
    #[must_use]
    pub fn copy_within(cap: u64) -> Self {
        Self::new(Arc::new(MemoryBudget::new(cap)))
    }
}

fn write_slot(to: &mut Vec<u8>, slot: &Slot) {
    let key = slot.key.bytes();
    if let Some(value) = &slot.value {
        write(to, PUT, &[key, value.bytes()]);
    }
    for (subkey, value) in slot.map.iter().flat_map(|map| map.iter()) {
        write(to, PUT_ENTRY, &[key, subkey, SmallBytes::bytes(value)]);
    }
}

fn write(to: &mut Vec<u8>, tag: u8, texts: &[&[u8]]) {
    to.push(tag);
    for text in texts {
        to.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
        to.extend_from_slice(text);
    }
}

fn text<'a>(from: &mut &'a [u8]) -> Result<&'a [u8], WireError> {
    let short = || WireError::broken("a state change ends too early");
    let (length, rest) = from.split_first_chunk::<4>().ok_or_else(short)?;
    let (text, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or_else(short)?;
    *from = rest;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Step {
        Put(u8, Vec<u8>),
        Delete(u8),
        MapPut(u8, u8, Vec<u8>),
        MapDelete(u8, u8),
        Commit,
        RollBack,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let bytes = || prop::collection::vec(any::<u8>(), 0..40);
        prop::collection::vec(
            prop_oneof![
                (0u8..3, bytes()).prop_map(|(k, v)| Step::Put(k, v)),
                (0u8..3).prop_map(Step::Delete),
                (0u8..3, 0u8..3, bytes()).prop_map(|(k, s, v)| Step::MapPut(k, s, v)),
                (0u8..3, 0u8..3).prop_map(|(k, s)| Step::MapDelete(k, s)),
                Just(Step::Commit),
                Just(Step::RollBack),
            ],
            0..60,
        )
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
            let mut state = KeyedState::copy_within(1 << 20);
            state.keep_changes();
            let mut copy = KeyedState::copy_within(1 << 20);
            let mut changes = Vec::new();
            for step in steps.into_iter().chain([Step::Commit]) {
                match step {
                    Step::Put(k, v) => state.put("t", [(&[k][..], v.as_slice())].into_iter()).unwrap(),
                    Step::Delete(k) => state.delete("t", &[k]).unwrap(),
                    Step::MapPut(k, s, v) => state.map_put("t", &[k], &[s], &v).unwrap(),
                    Step::MapDelete(k, s) => state.map_delete("t", &[k], &[s]).unwrap(),
                    Step::RollBack => state.roll_back(),
                    Step::Commit => {
                        state.commit();
                        state.take_changes(&mut changes);
                        copy.play(&changes).unwrap();
                        prop_assert_eq!(contents(&copy), contents(&state));
                    }
                }
            }
            let mut fresh = KeyedState::copy_within(1 << 20);
            copy.copy_out(|chunk| fresh.play(chunk)).unwrap();
            prop_assert_eq!(contents(&fresh), contents(&state));
        }

        #[test]
        fn any_bytes_are_changes_or_an_error(bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(0u8), Just(b'P'), Just(b'T')], 0..60)) {
            let _ = KeyedState::copy_within(1 << 10).play(&bytes);
        }
    }
}
