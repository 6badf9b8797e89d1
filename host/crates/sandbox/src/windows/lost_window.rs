use std::sync::Arc;

use super::entry::WINDOWS;
use super::keeper::WindowKeeper;
use crate::keyed_state::KeyedState;
use sage_machine::MemoryBudget;
use sage_time::{Window, WindowRules};

/// A window that was given up because its guest cannot finish it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostWindow {
    /// The key of its records.
    pub key: Vec<u8>,
    /// The window.
    pub window: Window,
    /// What the guest had summed up.
    pub accumulator: Vec<u8>,
}

impl KeyedState {
    /// Deletes the window that is finished first at this watermark. Returns it, and the change of the state for another
    /// copy.
    pub fn give_up_window(&mut self, rules: WindowRules, watermark: i64) -> Option<(LostWindow, Vec<u8>)> {
        let kept = self.changes.replace(Vec::new());
        let lost = self.delete_first_window(rules, watermark);
        let changes = std::mem::replace(&mut self.changes, kept).unwrap_or_default();
        lost.map(|lost| (lost, changes))
    }

    fn delete_first_window(&mut self, rules: WindowRules, watermark: i64) -> Option<LostWindow> {
        // The index of a failed guest is gone. This one lives for a moment, and is not the instance's.
        let budget = Arc::new(MemoryBudget::new(u64::MAX >> 1));
        let mut keeper = WindowKeeper::load(rules, self, &budget).ok()?;
        let table = self.table_or_new(WINDOWS).ok()?;
        let ripe = keeper.take_ripe(self, table, watermark).ok().flatten();
        let lost = ripe.and_then(|ripe| {
            let (window, entry) = keeper.find(self, table, ripe.place)?;
            let accumulator = entry.accumulator.to_vec();
            let key = keeper.key(self, table, ripe.place).to_vec();
            keeper.forget(self, table, ripe.place).ok()?;
            Some(LostWindow { key, window, accumulator })
        });
        self.commit();
        lost
    }
}
