use std::thread;
use std::time::{Duration, Instant};

use wasmtime::UpdateDeadline;

use super::failure::{FailureCode, HostTrap};
use crate::resources::thread_cpu_time;

/// Holds a lane to its share of a CPU: asked every couple of milliseconds of a running call.
pub trait Pacer: Send + Sync {
    /// How long to sleep now, having used what the thread's CPU clock says.
    fn pace(&mut self) -> Option<Duration>;
}

/// The CPU-time and wall-time limits of the calls of one guest.
///
/// wasmtime's epochs count wall time (one tick a millisecond), which is only when to look. What is compared with the limit is the
/// thread's CPU clock, so that waiting, in a host call or for a CPU, does not count. Reading that clock takes 250 ns,
/// too much for each call: the first look comes at a quarter of the limit and starts the count, so a call is stopped
/// after 1 to 1.25 times its limit (and a tick).
///
/// Does not bound: one bulk memory instruction (epochs are checked at its start only; it works on at most the
/// instance's memory), and host calls while they run (those that can wait have the wall-time limit as their patience).
pub(super) struct Deadline {
    cpu_limit: Duration,
    call_timeout: Duration,
    started: Instant,
    counting_from: Option<Duration>,
    pacer: Option<Box<dyn Pacer>>,
    throttled: Duration,
}

/// How far apart looks are at the most, so that an aborted run is noticed.
const LONGEST_LOOK: Duration = Duration::from_millis(50);
/// How far apart looks are where a pacer must be asked.
const PACED_LOOK: Duration = Duration::from_millis(2);

impl Deadline {
    pub(super) fn new(cpu_limit: Duration, call_timeout: Duration, pacer: Option<Box<dyn Pacer>>) -> Self {
        Self { cpu_limit, call_timeout, started: Instant::now(), counting_from: None, pacer, throttled: Duration::ZERO }
    }

    /// A call begins; answers the ticks to the first look.
    pub(super) fn begin(&mut self) -> u64 {
        self.started = Instant::now();
        self.counting_from = None;
        let first = (self.cpu_limit / 4).min(self.call_timeout);
        self.ticks(first)
    }

    /// How long the call may still take.
    pub(super) fn patience(&self) -> Duration {
        self.call_timeout.saturating_sub(self.started.elapsed())
    }

    /// The call waited in the host until its patience was over.
    pub(super) fn timed_out(&self) -> wasmtime::Error {
        HostTrap::error(
            FailureCode::Timeout,
            format!("the call took longer than call_timeout ({:?})", self.call_timeout),
        )
    }

    /// The guest runs and a look is due.
    pub(super) fn look(&mut self) -> wasmtime::Result<UpdateDeadline> {
        let patience = self.patience();
        if patience.is_zero() {
            return Err(self.timed_out());
        }
        self.pace();
        let now = thread_cpu_time();
        let from = *self.counting_from.get_or_insert(now);
        let used = now.saturating_sub(from);
        if used >= self.cpu_limit {
            return Err(HostTrap::error(
                FailureCode::CpuTime,
                format!("the call used more than cpu_time_per_call ({:?}) of CPU time", self.cpu_limit),
            ));
        }
        Ok(UpdateDeadline::Continue(self.ticks((self.cpu_limit - used).min(patience))))
    }

    /// Sleeps if the lane is ahead of its share.
    pub(super) fn pace(&mut self) {
        if let Some(nap) = self.pacer.as_mut().and_then(|pacer| pacer.pace()) {
            thread::sleep(nap);
            self.throttled += nap;
        }
    }

    /// How long the pacer held the lane back since the last time this was asked.
    pub(super) fn take_throttled(&mut self) -> Duration {
        std::mem::take(&mut self.throttled)
    }

    /// The pacer moves on to the guest that takes this one's place: the share is the lane's.
    pub(super) fn take_pacer(&mut self) -> Option<Box<dyn Pacer>> {
        self.pacer.take()
    }

    fn ticks(&self, wait: Duration) -> u64 {
        let longest = if self.pacer.is_some() { PACED_LOOK } else { LONGEST_LOOK };
        u64::try_from(wait.min(longest).as_millis()).unwrap_or(1).max(1)
    }
}
