use super::keyed_state::{KeyedState, Undo};

impl Undo {
    /// The table and slot of the write.
    pub(super) fn slot(&self) -> (u32, u32) {
        match self {
            Self::Value { table, slot, .. } | Self::Entry { table, slot, .. } | Self::Map { table, slot, .. } => {
                (*table, *slot)
            }
        }
    }
}

impl KeyedState {
    /// Adds the slot to the list if its key has nothing any more.
    pub(super) fn note_vacated(&mut self, table: u32, slot: u32, vacated: &mut Vec<(u32, u32)>) {
        if self.at(table, slot).is_some_and(|slot| slot.is_vacant()) {
            vacated.push((table, slot));
        }
    }

    /// Frees the slots of keys that have nothing any more, so that state whose keys come and go does not grow. A slot
    /// whose deletion is not saved yet stays: its key must be known when it is saved.
    pub(super) fn release_slots(&mut self, vacated: Vec<(u32, u32)>) {
        for (table, slot) in vacated {
            if !self.unsaved.as_ref().is_some_and(|unsaved| unsaved.has(table, slot))
                && let Some((_, table)) = self.tables.get_mut(table as usize)
            {
                let freed = table.release(slot);
                self.refund(freed);
            }
        }
    }

    /// Frees the slots of all keys that have nothing any more, after their deletions were saved.
    pub(super) fn release_saved_slots(&mut self, vacated: Option<Vec<(u32, u32)>>) {
        let vacated = vacated.unwrap_or_else(|| {
            let tables = (0u32..).zip(&self.tables);
            let slots =
                tables.flat_map(|(number, (_, table))| (0u32..).zip(&table.slots).map(move |slot| (number, slot)));
            slots.filter(|(_, (_, slot))| slot.is_vacant()).map(|(table, (slot, _))| (table, slot)).collect()
        });
        self.release_slots(vacated);
        self.end_call();
    }

    /// Releases what was taken in advance for the writes of a call.
    pub(super) fn end_call(&mut self) {
        self.budget.release(std::mem::take(&mut self.spare));
    }
}
