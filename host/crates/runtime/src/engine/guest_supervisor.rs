use std::time::Duration;

use super::control::Stopped;
use super::lane_guest::{LaneGuest, Measured};
use super::on_error_policy::OnErrorPolicy;
use sage_observe::InstanceCounters;
use sage_sandbox::{Failure, FailureCode};

/// Keeps one lane's guest alive: starts a fresh one after a failure, more slowly the more often in a row, and gives up
/// after `limits.restarts_in_a_row`.
pub(super) struct GuestSupervisor {
    guest: Box<dyn LaneGuest>,
    restarts_in_a_row: u32,
    in_a_row: u32,
}

/// How often the same is tried again as it was after a worker process died: one that its batch or its start kills dies as often.
pub(super) const LOST_WORKERS: u32 = 2;
/// Restarts in a row that cost nothing but their time: the halving of one batch takes up to 13.
const AT_ONCE: u32 = 32;
/// The first and the longest rest before a restart.
const FIRST_REST: Duration = Duration::from_millis(1);
const LONGEST_REST: Duration = Duration::from_millis(100);

impl GuestSupervisor {
    pub(super) fn new(guest: Box<dyn LaneGuest>, restarts_in_a_row: u32) -> Self {
        Self { guest, restarts_in_a_row, in_a_row: 0 }
    }

    /// Starts the first guest. Where its worker process died meanwhile, that is tried again: it may have died of something else.
    ///
    /// # Errors
    /// How the start failed.
    pub(super) fn start_first(&mut self) -> Result<(), Failure> {
        for _ in 0..LOST_WORKERS {
            match self.guest.start() {
                Err(failure) if failure.worker_died => {
                    tracing::warn!(%failure, "a worker process died while it started; another one is tried");
                }
                started => return started,
            }
        }
        self.guest.start()
    }

    pub(super) fn guest(&mut self) -> &mut dyn LaneGuest {
        &mut *self.guest
    }

    /// A call succeeded.
    #[inline]
    pub(super) fn succeeded(&mut self) {
        self.in_a_row = 0;
    }

    /// Puts a fresh guest in the place of one that failed.
    ///
    /// # Errors
    /// The run stopped meanwhile, or this failed too often in a row, which stops it.
    pub(super) fn rebuild(&mut self, failure: &Failure, policy: &OnErrorPolicy) -> Result<(), Stopped> {
        let mut last = failure.clone();
        loop {
            self.in_a_row += 1;
            let allowed = self.restarts_in_a_row;
            if self.in_a_row > allowed {
                policy.errors.breach("restarts_in_a_row");
                let message = format!("rebuilt {allowed} times in a row without a call that succeeded; last: {last}");
                return Err(policy.stage_failed(&Failure::new(FailureCode::Restarts, message)));
            }
            if self.in_a_row > AT_ONCE {
                let doubled = FIRST_REST * 2u32.saturating_pow((self.in_a_row - AT_ONCE).min(10));
                policy.control.pause(doubled.min(LONGEST_REST));
            }
            if policy.control.is_stopped() {
                return Err(Stopped);
            }
            policy.counters.restarts.add(1);
            match self.guest.start() {
                Ok(()) => return Ok(()),
                Err(failure) => last = failure,
            }
        }
    }

    /// Counts what the guest used since the last time.
    pub(super) fn measure(&mut self, counters: &InstanceCounters) {
        let Measured { cpu, throttled, log_bytes_dropped, workers_lost, workers_started, worker_starts } =
            self.guest.measure();
        counters.cpu_nanoseconds.add(nanoseconds(cpu));
        counters.throttled_nanoseconds.add(nanoseconds(throttled));
        counters.log_bytes_dropped.add(log_bytes_dropped);
        counters.workers_lost.add(workers_lost);
        counters.workers_started.add(workers_started);
        counters.worker_start_nanoseconds.add(nanoseconds(worker_starts));
    }

    /// Says goodbye to the guest, and counts the last of what it used.
    pub(super) fn close(&mut self, counters: &InstanceCounters) -> Result<(), Failure> {
        self.measure(counters);
        let closed = self.guest.close();
        self.measure(counters);
        closed
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
