use std::sync::Arc;
use std::time::Duration;

use sage_machine::thread_cpu_time;
use sage_observe::InstanceCounters;

/// Adds the calling thread's CPU time to the counters of its instance. A read of that clock takes 250 ns. The
/// clock is therefore read every [`LaneClock::EVERY`] batches, when the lane is idle, and when the lane ends.
pub(super) struct LaneClock {
    counters: Arc<InstanceCounters>,
    counted: Duration,
    batches: u32,
}

impl LaneClock {
    const EVERY: u32 = 32;

    /// The clock must be made, used and dropped on the lane's thread.
    pub(super) fn new(counters: Arc<InstanceCounters>) -> Self {
        Self { counters, counted: Duration::ZERO, batches: 0 }
    }

    pub(super) fn batch(&mut self) {
        self.batches += 1;
        if self.batches.is_multiple_of(Self::EVERY) {
            self.read();
        }
    }

    pub(super) fn read(&mut self) {
        let now = thread_cpu_time();
        let spent = now.saturating_sub(self.counted);
        self.counted = now;
        self.counters.cpu_nanoseconds.add(u64::try_from(spent.as_nanos()).unwrap_or(u64::MAX));
    }
}

impl Drop for LaneClock {
    fn drop(&mut self) {
        self.read();
    }
}
