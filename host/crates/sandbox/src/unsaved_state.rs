use super::keyed_state::{KeyedState, Undo};
use super::state_changes::{CHUNK, DELETE_MAP, DELETE_VALUE, PUT, TABLE, write, write_slot};

impl KeyedState {
    /// Makes every commit note the slots that it wrote, for [`KeyedState::take_unsaved`].
    pub fn note_unsaved(&mut self) {
        self.unsaved.get_or_insert_default();
    }

    /// Notes the slots that a successful call wrote, while the undo log still names them.
    pub(super) fn note_written_slots(&mut self) {
        let Some(unsaved) = &mut self.unsaved else { return };
        for line in &self.undo {
            let (Undo::Value { table, slot, .. } | Undo::Entry { table, slot, .. } | Undo::Map { table, slot, .. }) =
                line;
            unsaved.note(*table, *slot, matches!(line, Undo::Value { .. }));
        }
    }

    /// Passes what calls have written since the last call of this method to `send`, chunk by chunk, in the form of
    /// [`KeyedState::play`]. A map that was written is passed whole.
    ///
    /// # Errors
    /// The errors of `send`.
    pub fn take_unsaved<E>(&mut self, mut send: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let Some(unsaved) = &mut self.unsaved else { return Ok(()) };
        let mut vacated = Vec::new();
        let mut chunk = Vec::new();
        for (number, ((name, table), bits)) in (0u32..).zip(self.tables.iter().zip(&mut unsaved.0)) {
            let mut named = false;
            let words = bits.values.len().max(bits.maps.len());
            for word in 0..words {
                let of = |bits: &[u64]| bits.get(word).copied().unwrap_or(0);
                let (values, maps) = (of(&bits.values), of(&bits.maps));
                let mut rest = values | maps;
                while rest != 0 {
                    let bit = rest.trailing_zeros() as usize;
                    rest &= rest - 1;
                    let Some(slot) = table.slots.get(word * 64 + bit) else { continue };
                    if !std::mem::replace(&mut named, true) {
                        write(&mut chunk, TABLE, &[name.as_bytes()]);
                    }
                    if slot.is_vacant() {
                        vacated.extend(u32::try_from(word * 64 + bit).map(|slot| (number, slot)));
                    }
                    let key = slot.key.bytes();
                    if values >> bit & 1 == 1 && slot.value.is_none() {
                        write(&mut chunk, DELETE_VALUE, &[key]);
                    }
                    if maps >> bit & 1 == 1 {
                        write(&mut chunk, DELETE_MAP, &[key]);
                        write_slot(&mut chunk, slot);
                    } else if let Some(value) = &slot.value {
                        write(&mut chunk, PUT, &[key, value.bytes()]);
                    }
                    if chunk.len() >= CHUNK {
                        send(&chunk)?;
                        chunk.clear();
                        named = false;
                    }
                }
            }
            bits.values.clear();
            bits.maps.clear();
        }
        if !vacated.is_empty() {
            self.release_saved_slots(Some(vacated));
        }
        if chunk.is_empty() { Ok(()) } else { send(&chunk) }
    }

    /// Passes the whole state to `send`, or what was written since the last call of this method, chunk by chunk.
    ///
    /// # Errors
    /// The errors of `send`.
    pub fn save<E>(&mut self, whole: bool, send: &mut dyn FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        if !whole {
            return self.take_unsaved(send);
        }
        if let Some(unsaved) = &mut self.unsaved {
            unsaved.0.clear();
        }
        self.release_saved_slots(None);
        self.copy_out(send)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::state_steps::{Step, steps};
    use sage_machine::MemoryBudget;

    proptest! {
        #[test]
        fn a_copy_that_plays_what_is_unsaved_at_each_epoch_equals_the_state(steps in steps(), every in 1_usize..9) {
            let empty = || KeyedState::new(Arc::new(MemoryBudget::new(1 << 24)));
            let (mut state, mut copy) = (empty(), empty());
            state.note_unsaved();
            for (number, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Change(change) => change.make(&mut state),
                    Step::Commit => state.commit(),
                    Step::RollBack => state.roll_back(),
                }
                if number % every == 0 {
                    // An epoch comes between two calls.
                    state.commit();
                    let Ok(()) = state.take_unsaved(|chunk| {
                        copy.play(chunk).unwrap();
                        Ok::<_, Infallible>(())
                    });
                    prop_assert!(same(&state, &copy));
                }
            }
        }
    }

    fn same(one: &KeyedState, other: &KeyedState) -> bool {
        let sorted = |state: &KeyedState| {
            let mut all = Vec::new();
            for (name, table) in &state.tables {
                for slot in table.slots.iter().filter(|slot| !slot.is_vacant()) {
                    let mut line = name.as_bytes().to_vec();
                    write_slot(&mut line, slot);
                    all.push(line);
                }
            }
            all.sort();
            all
        };
        sorted(one) == sorted(other)
    }
}
