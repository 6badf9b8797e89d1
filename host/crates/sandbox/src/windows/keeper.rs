use std::sync::Arc;

use super::assignment::Assignment;
use super::due::{Due, Place};
use super::entry::{CLOCK, Entry, RULES, WATERMARK, WINDOWS, fixed_size, split_key, time_of, written_rules};
use crate::failure::{FailureCode, HostTrap};
use crate::keyed_state::KeyedState;
use sage_machine::MemoryBudget;
use sage_time::{Window, WindowRules};

/// The windows of a lane, whose accumulators are in its keyed state.
#[derive(Debug)]
pub(crate) struct WindowKeeper {
    pub(super) rules: WindowRules,
    /// The last watermark, which is in the state as well. It never falls.
    pub(super) watermark: i64,
    pub(super) due: Due,
    /// Buffers of the last batch.
    pub(super) assignment: Assignment,
}

/// A window that is due to be finished.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ripe {
    pub(super) place: Place,
    pub(super) window: Window,
    pub(super) emissions: u32,
}

impl WindowKeeper {
    /// The windows that the state has.
    ///
    /// # Errors
    /// The state has windows of other rules, or the memory has no room for their index.
    pub(crate) fn load(
        rules: WindowRules,
        state: &mut KeyedState,
        budget: &Arc<MemoryBudget>,
    ) -> wasmtime::Result<Self> {
        let written = written_rules(&rules);
        let found = state.values(CLOCK)(RULES).map(<[u8]>::to_vec);
        match found {
            Some(found) if found != written.as_bytes() => {
                let found = String::from_utf8_lossy(&found);
                let message =
                    format!("the saved state has windows of \"{found}\" (microseconds), the pipeline \"{written}\"");
                return Err(HostTrap::error(FailureCode::Open, message));
            }
            Some(_) => {}
            None => {
                state.put(CLOCK, [(RULES, written.as_bytes())].into_iter())?;
                state.commit();
            }
        }
        let watermark = state.values(CLOCK)(WATERMARK).and_then(time_of).unwrap_or(i64::MIN);
        let mut keeper =
            Self { rules, watermark, due: Due::new(Arc::clone(budget)), assignment: Assignment::default() };
        keeper.index(state)?;
        Ok(keeper)
    }

    /// Notes when each window of the state is due.
    fn index(&mut self, state: &mut KeyedState) -> wasmtime::Result<()> {
        let table = state.table_or_new(WINDOWS)?;
        for slot in 0..state.slots_in(table) {
            if let Some(size) = fixed_size(&self.rules) {
                let found = state.key_at(table, slot).and_then(|key| split_key(key, size));
                let entry = state.value_at(table, slot).and_then(|value| Entry::read(value, false));
                if let (Some((_, window)), Some(entry)) = (found, entry) {
                    self.note(Place { slot, start: window.start }, window, entry.unfinished)?;
                }
                continue;
            }
            for (start, value) in state.entries_at(table, slot) {
                let (Some(start), Some(entry)) = (time_of(start), Entry::read(value, true)) else { continue };
                let window = Window { start, end: entry.end.unwrap_or(start) };
                self.note(Place { slot, start }, window, entry.unfinished)?;
            }
        }
        Ok(())
    }

    /// Notes when a window is due: to be finished, or else to be forgotten.
    pub(super) fn note(&mut self, place: Place, window: Window, unfinished: bool) -> wasmtime::Result<()> {
        let time = if unfinished { window.end } else { self.rules.forgotten_at(window) };
        self.due.note(time, place)
    }

    /// Whether a window is due at the watermark.
    pub(super) fn is_due(&self, watermark: i64) -> bool {
        self.due.is_due(watermark)
    }

    /// The window at this place, as the state has it.
    pub(super) fn find<'s>(&self, state: &'s KeyedState, table: u32, place: Place) -> Option<(Window, Entry<'s>)> {
        match fixed_size(&self.rules) {
            Some(size) => {
                let (_, window) = split_key(state.key_at(table, place.slot)?, size)?;
                let entry = Entry::read(state.value_at(table, place.slot)?, false)?;
                (window.start == place.start).then_some((window, entry))
            }
            None => {
                let entry = state.entry_at(table, place.slot, &super::entry::ordered(place.start))?;
                let entry = Entry::read(entry, true)?;
                Some((Window { start: place.start, end: entry.end? }, entry))
            }
        }
    }

    /// The key of the records of the window at this place.
    pub(super) fn key<'s>(&self, state: &'s KeyedState, table: u32, place: Place) -> &'s [u8] {
        key_of(&self.rules, state, table, place)
    }

    /// Takes the next window that is due to be finished at the watermark. Windows that are only due to be forgotten are
    /// deleted on the way.
    pub(super) fn take_ripe(
        &mut self,
        state: &mut KeyedState,
        table: u32,
        watermark: i64,
    ) -> wasmtime::Result<Option<Ripe>> {
        let rules = self.rules;
        loop {
            let order = |one: &Place, other: &Place| {
                let key = |place: &Place| (key_of(&rules, state, table, *place), place.start);
                key(one).cmp(&key(other))
            };
            let Some((time, place)) = self.due.take(watermark, order) else { return Ok(None) };
            let Some((window, entry)) = self.find(state, table, place) else { continue };
            let forgotten_at = rules.forgotten_at(window);
            if entry.unfinished {
                // A session that has grown since is noted under its new end.
                if window.end <= time {
                    return Ok(Some(Ripe { place, window, emissions: entry.emissions }));
                }
            } else if forgotten_at <= watermark {
                self.forget(state, table, place)?;
            } else if time < forgotten_at {
                self.due.note(forgotten_at, place)?;
            }
        }
    }

    /// Deletes a window.
    pub(super) fn forget(&self, state: &mut KeyedState, table: u32, place: Place) -> wasmtime::Result<()> {
        match fixed_size(&self.rules) {
            Some(_) => state.delete_at(table, place.slot),
            None => state.map_delete_at((table, place.slot), &super::entry::ordered(place.start)),
        }
    }
}

fn key_of<'s>(rules: &WindowRules, state: &'s KeyedState, table: u32, place: Place) -> &'s [u8] {
    let key = state.key_at(table, place.slot).unwrap_or_default();
    match fixed_size(rules) {
        Some(size) => split_key(key, size).map_or(key, |(key, _)| key),
        None => key,
    }
}
