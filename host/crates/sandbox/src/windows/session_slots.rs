use std::collections::HashMap;

use foldhash::fast::FixedState;

use sage_time::{Sessions, Window};

/// The sessions of the keys of a batch while the batch is assigned.
///
/// Each session has a group. A record that connects sessions makes one group of theirs. After the last record the groups
/// that are left and have records become slots.
#[derive(Debug, Default)]
pub(super) struct SessionSlots {
    /// The number of each key in `keys`.
    pub(super) numbers: HashMap<Box<[u8]>, usize, FixedState>,
    pub(super) keys: Vec<KeySessions>,
    pub(super) groups: Vec<Group>,
    /// The records, and the group of each.
    pub(super) records: Vec<(u32, usize)>,
    /// The group of each slot.
    pub(super) slots: Vec<usize>,
}

#[derive(Debug)]
pub(super) struct KeySessions {
    pub(super) key: Box<[u8]>,
    /// The number of each session's group.
    pub(super) sessions: Sessions<usize>,
}

/// Sessions that have become one.
#[derive(Debug)]
pub(super) struct Group {
    /// The number of the key.
    pub(super) key: usize,
    pub(super) window: Window,
    /// The sessions of the state that are part of it and not merged yet, by rising start.
    pub(super) from: Vec<Old>,
    /// Those that were merged with an earlier one.
    pub(super) merged: Vec<Old>,
    /// The group that this one has become a part of.
    pub(super) into: Option<usize>,
}

/// A session as the state has it.
#[derive(Debug, Clone)]
pub(super) struct Old {
    pub(super) window: Window,
    pub(super) emissions: u32,
    pub(super) is_noted: bool,
    pub(super) accumulator: Vec<u8>,
}

impl SessionSlots {
    pub(super) fn clear(&mut self) {
        self.numbers.clear();
        self.keys.clear();
        self.groups.clear();
        self.records.clear();
        self.slots.clear();
    }

    /// The groups that need a merge: those of several sessions of the state.
    pub(super) fn torn(&mut self) -> impl Iterator<Item = &mut Group> {
        self.groups.iter_mut().filter(|group| group.into.is_none() && group.from.len() > 1)
    }

    /// The group that this one is a part of now.
    pub(super) fn root(&mut self, group: usize) -> usize {
        let mut root = group;
        while let Some(into) = self.groups.get(root).and_then(|group| group.into) {
            root = into;
        }
        // Later searches are short.
        let mut at = group;
        while let Some(group) = self.groups.get_mut(at)
            && let Some(into) = group.into
        {
            group.into = Some(root);
            at = into;
        }
        root
    }
}

impl Group {
    /// Takes the result of each pair of sessions. The second session of a pair stays for its place in the state only.
    pub(super) fn take_merged<'a>(&mut self, results: &mut impl Iterator<Item = &'a [u8]>) {
        let pairs = self.from.len() / 2;
        let mut sessions = std::mem::take(&mut self.from).into_iter();
        for _ in 0..pairs {
            let (Some(mut one), Some(other)) = (sessions.next(), sessions.next()) else { break };
            one.accumulator = results.next().unwrap_or_default().to_vec();
            self.from.push(one);
            self.merged.push(other);
        }
        self.from.extend(sessions);
    }

    /// The sessions of the state that are part of this one.
    pub(super) fn old(&self) -> impl Iterator<Item = &Old> {
        self.from.iter().chain(&self.merged)
    }
}
