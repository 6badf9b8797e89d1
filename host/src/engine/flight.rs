use std::collections::VecDeque;

use super::lane_guest::LaneGuest;
use crate::batch::Batch;

/// The batches that a lane has taken in and not yet answered for, oldest first: the first `handed` of them are under way with its guest.
#[derive(Default)]
pub(super) struct Flight {
    batches: VecDeque<(Batch, u64)>,
    handed: usize,
}

impl Flight {
    /// Adds a batch with its ticket.
    pub(super) fn add(&mut self, batch: Batch, ticket: u64) {
        self.batches.push_back((batch, ticket));
    }

    /// Hands over as many as the guest takes. Whether there is room for another one.
    pub(super) fn hand_over(&mut self, guest: &mut dyn LaneGuest) -> bool {
        let window = guest.window();
        while self.handed < window {
            let Some((batch, _)) = self.batches.get(self.handed) else { return true };
            if !guest.submit(batch) {
                return false;
            }
            self.handed += 1;
        }
        false
    }

    /// The oldest, whose answer comes next.
    pub(super) fn take_oldest(&mut self) -> Option<(Batch, u64)> {
        self.handed = self.handed.saturating_sub(1);
        self.batches.pop_front()
    }

    /// The guest failed: nothing is under way with it any more.
    pub(super) fn lost(&mut self) {
        self.handed = 0;
    }
}
