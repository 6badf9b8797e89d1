use std::collections::HashMap;

use foldhash::fast::FixedState;

use super::assignment::{Timed, out_of_range};
use super::due::Place;
use super::entry::{Entry, ordered, time_of};
use super::keeper::WindowKeeper;
use super::session_slots::{Group, KeySessions, Old, SessionSlots};
use crate::keyed_state::KeyedState;
use sage_time::{Sessions, Window};

impl WindowKeeper {
    /// Assigns records to sessions, without the `excluded` ones, which rise.
    pub(super) fn assign_sessions(&mut self, state: &KeyedState, table: u32, records: &Timed<'_>, excluded: &[u32]) {
        let mut excluded = excluded.iter().peekable();
        for (row, &time) in (0u32..).zip(records.times) {
            if excluded.next_if_eq(&&row).is_some() {
                continue;
            }
            let Some(alone) = self.rules.assign(time).and_then(|mut windows| windows.next()) else {
                self.assignment.refused.push((row, out_of_range(time)));
                continue;
            };
            let key = records.key(row as usize);
            let number = match self.assignment.sessions.numbers.get(key) {
                Some(&number) => number,
                None => self.load_key(state, table, key),
            };
            let SessionSlots { keys, groups, records, .. } = &mut self.assignment.sessions;
            let Some(of_key) = keys.get_mut(number) else { continue };
            if self.rules.is_late(of_key.sessions.with(alone), self.watermark) {
                self.assignment.late.push(row);
                continue;
            }
            let mut joined = 0;
            of_key.sessions.join(alone, |window, parts| {
                joined = join_groups(groups, number, window, parts);
                joined
            });
            records.push((row, joined));
        }
    }

    /// Reads the sessions of a key from the state. Returns the number of the key.
    fn load_key(&mut self, state: &KeyedState, table: u32, key: &[u8]) -> usize {
        let SessionSlots { numbers, keys, groups, .. } = &mut self.assignment.sessions;
        let number = keys.len();
        let mut live = Vec::new();
        if let Some(slot) = state.find_in(table, key) {
            for (start, value) in state.entries_at(table, slot) {
                let (Some(start), Some(entry)) = (time_of(start), Entry::read(value, true)) else { continue };
                let window = Window { start, end: entry.end.unwrap_or(start) };
                let accumulator = entry.accumulator.to_vec();
                let old = Old { window, emissions: entry.emissions, is_noted: entry.unfinished, accumulator };
                live.push((window, groups.len()));
                groups.push(Group { key: number, window, from: vec![old], merged: Vec::new(), into: None });
            }
        }
        numbers.insert(key.into(), number);
        keys.push(KeySessions { key: key.into(), sessions: Sessions::new(live) });
        number
    }

    /// Makes slots of the groups that have records. The sessions of each group must have been merged.
    pub(super) fn make_session_slots(&mut self) {
        let mut sessions = std::mem::take(&mut self.assignment.sessions);
        let mut slot_of: HashMap<usize, u32, FixedState> = HashMap::default();
        for at in 0..sessions.records.len() {
            let Some(&(row, group)) = sessions.records.get(at) else { continue };
            let root = sessions.root(group);
            let slot = *slot_of.entry(root).or_insert_with(|| {
                sessions.slots.push(root);
                let old = sessions.groups.get(root).and_then(|group| group.from.first());
                self.assignment.add_slot(old.map(|old| old.accumulator.as_slice()))
            });
            self.assignment.rows.push(row);
            self.assignment.slots.push(slot);
        }
        self.assignment.sessions = sessions;
    }

    /// Writes the new accumulators of the batch's sessions.
    pub(super) fn keep_sessions<'a>(
        &mut self,
        state: &mut KeyedState,
        table: u32,
        accumulators: impl Iterator<Item = &'a [u8]>,
    ) -> wasmtime::Result<()> {
        let sessions = std::mem::take(&mut self.assignment.sessions);
        let mut value = std::mem::take(&mut self.assignment.scratch);
        for (&number, accumulator) in sessions.slots.iter().zip(accumulators) {
            let Some(group) = sessions.groups.get(number) else { continue };
            let Some(of_key) = sessions.keys.get(group.key) else { continue };
            let key = &of_key.key;
            let at = state.slot_in(table, key)?;
            for old in group.old().filter(|old| old.window.start != group.window.start) {
                state.map_delete_at((table, at), &ordered(old.window.start))?;
            }
            let emissions = group.old().map(|old| old.emissions).max().unwrap_or(0);
            let end = Some(group.window.end);
            Entry { emissions, unfinished: true, end, accumulator }.write(&mut value);
            state.map_put_at((table, at), &ordered(group.window.start), &value)?;
            let same = |old: &Old| old.window == group.window && old.is_noted;
            if !group.old().any(same) {
                self.note(Place { slot: at, start: group.window.start }, group.window, true)?;
            }
        }
        (self.assignment.sessions, self.assignment.scratch) = (sessions, value);
        Ok(())
    }
}

/// The group of the session that the sessions of `parts` have become.
fn join_groups(groups: &mut Vec<Group>, key: usize, window: Window, parts: &[(Window, usize)]) -> usize {
    if let [(_, group)] = *parts {
        if let Some(group) = groups.get_mut(group) {
            group.window = window;
        }
        return group;
    }
    let joined = groups.len();
    let mut from = Vec::new();
    for (_, part) in parts {
        if let Some(part) = groups.get_mut(*part) {
            from.append(&mut part.from);
            part.into = Some(joined);
        }
    }
    groups.push(Group { key, window, from, merged: Vec::new(), into: None });
    joined
}
