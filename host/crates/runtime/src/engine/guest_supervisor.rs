use std::time::Duration;

use super::lane_guest::{LaneGuest, Measured};
use super::on_error_policy::OnErrorPolicy;
use super::stopped::Stopped;
use sage_observe::InstanceCounters;
use sage_sandbox::{Failure, FailureCode};

/// Keeps the guest of a lane alive. The supervisor starts a fresh guest after a failure, with longer pauses
/// after many failures in a row, and gives up after `limits.restarts_in_a_row`.
pub(super) struct GuestSupervisor {
    guest: Box<dyn LaneGuest>,
    restarts_in_a_row: u32,
    in_a_row: u32,
}

/// Number of retries with unchanged input after a worker process died. If a batch or a start kills its worker,
/// it kills each retry too.
pub(super) const LOST_WORKERS: u32 = 2;
/// Restarts in a row without a pause: the halving of one batch takes up to 13.
const AT_ONCE: u32 = 32;
/// The first and the longest pause before a restart.
const FIRST_REST: Duration = Duration::from_millis(1);
const LONGEST_REST: Duration = Duration::from_millis(100);

impl GuestSupervisor {
    pub(super) fn new(guest: Box<dyn LaneGuest>, restarts_in_a_row: u32) -> Self {
        Self { guest, restarts_in_a_row, in_a_row: 0 }
    }

    /// Starts the first guest. If its worker process died during the start, the start is tried again, because
    /// there may be another cause.
    ///
    /// # Errors
    /// The failure of the start.
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

    /// Resets the count of failures in a row after a successful call.
    #[inline]
    pub(super) fn succeeded(&mut self) {
        self.in_a_row = 0;
    }

    /// Replaces a failed guest with a fresh one.
    ///
    /// # Errors
    /// The run stopped meanwhile, or the guest failed too often in a row, which stops the run.
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

    /// Counts the resources that the guest used since the last call.
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

    /// Closes the guest and counts its last use of resources.
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
