use std::sync::Arc;
use std::time::{Duration, Instant};

use sage_machine::thread_cpu_time;
use sage_observe::InstanceCounters;

/// Divides a thread's CPU time among its lanes, in proportion to the time spent on each. A read of the thread's
/// clock takes 250 ns. The clock is therefore read every [`ChainClock::EVERY`] turns, when no lane can
/// continue, and at the end.
pub(super) struct ChainClock {
    lanes: Vec<(Arc<InstanceCounters>, Duration)>,
    turns: u32,
    since: Instant,
    counted: Duration,
}

impl ChainClock {
    const EVERY: u32 = 128;

    /// The clock must be made, used and dropped on the chain's thread.
    pub(super) fn new(lanes: impl Iterator<Item = Arc<InstanceCounters>>) -> Self {
        let lanes = lanes.map(|counters| (counters, Duration::ZERO)).collect();
        Self { lanes, turns: 0, since: Instant::now(), counted: thread_cpu_time() }
    }

    /// Adds the time since the last turn to this lane.
    pub(super) fn spent(&mut self, lane: usize) {
        let now = Instant::now();
        if let Some((_, spent)) = self.lanes.get_mut(lane) {
            *spent += now - self.since;
        }
        self.since = now;
        self.turns += 1;
        if self.turns.is_multiple_of(Self::EVERY) {
            self.read();
        }
    }

    /// Counts the CPU time up to now.
    pub(super) fn read(&mut self) {
        let now = thread_cpu_time();
        let used = now.saturating_sub(self.counted).as_nanos();
        self.counted = now;
        let all: u128 = self.lanes.iter().map(|(_, spent)| spent.as_nanos()).sum();
        for (counters, spent) in &mut self.lanes {
            let part = (used * std::mem::take(spent).as_nanos()).checked_div(all).unwrap_or(0);
            counters.cpu_nanoseconds.add(u64::try_from(part).unwrap_or(u64::MAX));
        }
        self.since = Instant::now();
    }
}

impl Drop for ChainClock {
    fn drop(&mut self) {
        self.read();
    }
}
