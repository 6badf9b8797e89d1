use std::sync::MutexGuard;
use std::sync::atomic::Ordering;

use super::inbox_state::State;
use super::{Inbox, Producer};
use sage_time::Watermark;

impl Inbox {
    /// Moves the event time of a producer on, behind everything that it has put in.
    pub fn advance(&self, producer: Producer, to: Watermark) {
        let mut state = self.lock();
        let before = state.watermarks.current();
        let now = state.watermarks.advance(producer.0, to);
        state.is_timed = true;
        if now != before && !state.cut {
            self.rise(state, now);
        }
    }

    /// Takes over the event time that an earlier run had reached.
    pub fn restore(&self, time: i64) {
        let mut state = self.lock();
        state.watermarks.restore(time);
        state.is_timed = true;
    }

    /// Tells the consumer of a watermark, behind all batches.
    pub(super) fn rise(&self, mut state: MutexGuard<'_, State>, to: Watermark) {
        if let Some(last) = state.queue.back_mut() {
            return last.set_watermark(to);
        }
        state.risen = Some(to);
        self.news.store(true, Ordering::SeqCst);
        self.wake_at_entrance();
        self.wake_one(state);
    }
}

#[cfg(test)]
#[path = "event_time_tests.rs"]
mod tests;
