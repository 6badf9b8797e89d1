use std::collections::VecDeque;

use super::{Batch, Producer};
use sage_time::{Before, Watermark, Watermarks};

/// The part of an inbox that is behind its lock.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) queue: VecDeque<Batch>,
    pub(super) bytes: usize,
    pub(super) producers: usize,
    pub(super) waiting_producers: usize,
    /// Number of waiting producers that were woken and have not run yet.
    pub(super) woken_producers: usize,
    /// The last batch was put in coalesced, and no consumer began to wait since then.
    pub(super) coalesced: bool,
    pub(super) waiting_consumers: usize,
    /// Number of waiting consumers that accept coalesced batches.
    pub(super) lenient_consumers: usize,
    /// Number of waiting consumers that were woken and have not run yet.
    pub(super) woken_consumers: usize,
    pub(super) tickets: u64,
    /// The newest epoch that a producer has marked, and how many have marked it.
    pub(super) epoch: u64,
    pub(super) marked: usize,
    /// The newest epoch of which a consumer has learned.
    pub(super) told: u64,
    /// The event time of all producers. Not looked at before one of them has any.
    pub(super) watermarks: Watermarks,
    pub(super) is_timed: bool,
    /// A watermark that has risen while no batch waited.
    pub(super) risen: Option<Watermark>,
    /// Whether producers may use the direct send.
    pub(super) open: bool,
    /// The producer and the consumer share a thread, which must not wait for itself.
    pub(super) one_thread: bool,
    pub(super) cut: bool,
}

impl State {
    /// Whether all producers have marked the newest epoch.
    pub(super) fn is_marked(&self) -> bool {
        self.epoch > 0 && self.producers > 0 && self.marked >= self.producers
    }

    /// Whether an epoch is marked of which no consumer has learned.
    pub(super) fn has_news(&self) -> bool {
        self.is_marked() && self.epoch > self.told
    }

    /// Gives a batch that is about to be taken in the watermark behind it. Returns what [`State::take_back`] needs.
    pub(super) fn stamp(&mut self, producer: Producer, batch: &mut Batch) -> Option<Before> {
        let own = batch.watermark();
        if !self.is_timed && own.is_none() {
            return None;
        }
        self.is_timed = true;
        let before = self.watermarks.before(producer.0);
        batch.set_watermark(self.watermarks.advance(producer.0, own.active()));
        Some(before)
    }

    /// The batch with the watermark `own` was not taken in. Another producer's batch may come before it.
    pub(super) fn take_back(&mut self, producer: Producer, batch: &mut Batch, own: Watermark, before: Option<Before>) {
        if let Some(before) = before {
            self.watermarks.undo(producer.0, before);
            batch.set_watermark(own);
        }
    }
}
