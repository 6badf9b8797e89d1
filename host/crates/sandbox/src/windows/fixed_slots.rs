use super::assignment::{FixedSlot, Timed, out_of_range};
use super::due::Place;
use super::entry::{Entry, ordered};
use super::keeper::WindowKeeper;
use crate::keyed_state::KeyedState;
use sage_time::{Window, WindowShape};

impl WindowKeeper {
    /// Assigns records to tumbling or sliding windows, without the `excluded` ones, which rise. A new window is written to
    /// the state without an accumulator, so that it has a place there.
    pub(super) fn assign_fixed(
        &mut self,
        state: &mut KeyedState,
        table: u32,
        records: &Timed<'_>,
        excluded: &[u32],
    ) -> wasmtime::Result<()> {
        let mut last: Option<Window> = None;
        let mut excluded = excluded.iter().peekable();
        for (row, &time) in (0u32..).zip(records.times) {
            if excluded.next_if_eq(&&row).is_some() {
                continue;
            }
            let key = records.key(row as usize);
            if let WindowShape::Tumbling { size } = self.rules.shape {
                // Most records have the window of the record before.
                if !last.is_some_and(|window| window.contains(time)) {
                    last = self.rules.tumbling(time, size);
                }
                match last {
                    None => self.assignment.refused.push((row, out_of_range(time))),
                    Some(window) if self.rules.is_late(window, self.watermark) => self.assignment.late.push(row),
                    Some(window) => self.add_to_window(state, table, (row, key), window)?,
                }
                continue;
            }
            let Some(windows) = self.rules.assign(time) else {
                self.assignment.refused.push((row, out_of_range(time)));
                continue;
            };
            let before = self.assignment.rows.len();
            for window in windows {
                if !self.rules.is_late(window, self.watermark) {
                    self.add_to_window(state, table, (row, key), window)?;
                }
            }
            if self.assignment.rows.len() == before {
                self.assignment.late.push(row);
            }
        }
        Ok(())
    }

    fn add_to_window(
        &mut self,
        state: &mut KeyedState,
        table: u32,
        (row, key): (u32, &[u8]),
        window: Window,
    ) -> wasmtime::Result<()> {
        let to = &mut self.assignment;
        to.scratch.clear();
        to.scratch.extend_from_slice(key);
        to.scratch.extend_from_slice(&ordered(window.start));
        let found = state.find_in(table, &to.scratch);
        let known = found.and_then(|place| to.by_place.find(hash(place), |(other, _)| *other == place));
        let slot = match (known, found) {
            (Some(&(_, slot)), _) => slot,
            (None, found) => {
                let entry = found.and_then(|place| Entry::read(state.value_at(table, place)?, false));
                let (emissions, is_noted) = entry.map_or((0, false), |entry| (entry.emissions, entry.unfinished));
                let slot = to.add_slot(entry.map(|entry| entry.accumulator));
                let place = match found {
                    Some(place) => place,
                    None => {
                        state.put_in(table, &to.scratch, &[0; 4])?;
                        state.find_in(table, &to.scratch).unwrap_or(u32::MAX)
                    }
                };
                to.by_place.insert_unique(hash(place), (place, slot), |(place, _)| hash(*place));
                let place = Place { slot: place, start: window.start };
                to.windows.push(FixedSlot { place, window, emissions, is_noted });
                slot
            }
        };
        to.rows.push(row);
        to.slots.push(slot);
        Ok(())
    }

    /// Writes the new accumulators of the batch's tumbling or sliding windows.
    pub(super) fn keep_fixed<'a>(
        &mut self,
        state: &mut KeyedState,
        table: u32,
        accumulators: impl Iterator<Item = &'a [u8]>,
    ) -> wasmtime::Result<()> {
        let windows = std::mem::take(&mut self.assignment.windows);
        let mut value = std::mem::take(&mut self.assignment.scratch);
        for (slot, accumulator) in windows.iter().zip(accumulators) {
            Entry { emissions: slot.emissions, unfinished: true, end: None, accumulator }.write(&mut value);
            state.put_at(table, slot.place.slot, &value)?;
            if !slot.is_noted {
                self.note(slot.place, slot.window, true)?;
            }
        }
        (self.assignment.windows, self.assignment.scratch) = (windows, value);
        Ok(())
    }
}

/// Places are numbers without a pattern that matters; the multiplication spreads them over the high bits.
fn hash(place: u32) -> u64 {
    u64::from(place).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}
