use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use wasmtime::UpdateDeadline;

use super::failure::{FailureCode, HostTrap};
use super::helper_clock::HelperClock;
use super::stop::Stop;
use sage_machine::thread_cpu_time;

/// Holds a lane to its share of a CPU. The pacer is asked every couple of milliseconds during a call.
pub trait Pacer: Send + Sync {
    /// Returns how long to sleep now. The lane has used the time on the thread's CPU clock and, on other
    /// threads, `elsewhere`.
    fn pace(&mut self, elsewhere: Duration) -> Option<Duration>;
}

/// The CPU-time and wall-time limits of the calls of one guest.
///
/// wasmtime's epochs count wall time (one tick a millisecond) and only decide when to check. The check compares
/// the limit with the thread's CPU clock plus the clocks of the lane's helper threads, which read and write
/// files. So time spent waiting, in a host call or for a CPU, does not count. Reading the CPU clock takes 250
/// ns, too much for each call. Therefore the first check comes at a quarter of the limit and starts the count,
/// and a call is stopped after 1 to 1.25 times its limit (plus one tick). An instantiation is counted from its
/// beginning.
///
/// **Host calls** check too. A host function that goes through many keys or entries reports its work
/// ([`Deadline::worked`]), and the check comes every [`LOOK_EVERY`] units. A host function that waits does so
/// in pieces of at most [`LONGEST_LOOK`] ([`Deadline::waits`]).
///
/// **An immediate stop** of the run ends a call at its next check.
///
/// Not bounded:
///
/// - one bulk memory instruction (epochs are checked only at its start; it works on at most the instance's
///   memory);
/// - one pass of the host over the data that a guest passes (at most the instance's memory too);
/// - the work of wasmtime between two start functions of an instantiation, which is counted when it is over.
pub(super) struct Deadline {
    cpu_limit: Duration,
    call_timeout: Duration,
    started: Instant,
    counting_from: Option<Duration>,
    pacer: Option<Box<dyn Pacer>>,
    throttled: Duration,
    stop: Stop,
    helpers: Arc<HelperClock>,
    /// Units of work since the last check.
    worked: u32,
}

/// Longest time between two checks, so that a stopped run is noticed.
const LONGEST_LOOK: Duration = Duration::from_millis(50);
/// Longest time between two checks if a pacer must be asked.
const PACED_LOOK: Duration = Duration::from_millis(2);
/// Units of host work between two checks. A unit is a key or an entry, at about 10 to 200 ns, or
/// [`UNIT_BYTES`]. A check then comes about every millisecond, and its 300 ns are negligible.
const LOOK_EVERY: u32 = 8192;
/// Bytes that are hashed, compared or copied in about the time of one entry.
const UNIT_BYTES: usize = 256;

impl Deadline {
    pub(super) fn new(
        (cpu_limit, call_timeout): (Duration, Duration),
        pacer: Option<Box<dyn Pacer>>,
        stop: Stop,
        helpers: Arc<HelperClock>,
    ) -> Self {
        Self {
            cpu_limit,
            call_timeout,
            started: Instant::now(),
            counting_from: None,
            pacer,
            throttled: Duration::ZERO,
            stop,
            helpers,
            worked: 0,
        }
    }

    /// Begins a call. Returns the ticks to the first check.
    pub(super) fn begin(&mut self) -> u64 {
        self.started = Instant::now();
        self.counting_from = None;
        let first = (self.cpu_limit / 4).min(self.call_timeout);
        self.ticks(first)
    }

    /// Begins an instantiation, after the lane has slept off its debt of CPU time. Returns the ticks to the
    /// first check.
    pub(super) fn begin_instance(&mut self) -> u64 {
        self.pace();
        let ticks = self.begin();
        self.counting_from = Some(self.cpu_time());
        ticks
    }

    /// Time that the call has left.
    pub(super) fn timeout(&self) -> Duration {
        self.call_timeout.saturating_sub(self.started.elapsed())
    }

    /// The error of a call that waited in the host until its timeout was over.
    pub(super) fn timed_out(&self) -> wasmtime::Error {
        HostTrap::error(
            FailureCode::Timeout,
            format!("the call took longer than call_timeout ({:?})", self.call_timeout),
        )
    }

    /// Reports one unit of host work in a call: an entry with this number of bytes.
    #[inline]
    pub(super) fn worked(&mut self, bytes: usize) -> wasmtime::Result<()> {
        let units = u32::try_from(bytes / UNIT_BYTES).unwrap_or(u32::MAX);
        self.worked = self.worked.saturating_add(1).saturating_add(units);
        if self.worked < LOOK_EVERY { Ok(()) } else { self.look().map(drop) }
    }

    /// Longest time that the host may wait before the next check.
    ///
    /// # Errors
    /// The call's timeout is over, or the run was stopped.
    pub(super) fn waits(&self) -> wasmtime::Result<Duration> {
        self.goes_on().map(|timeout| timeout.min(LONGEST_LOOK))
    }

    /// Checks the limits. The guest runs, or the host works for it, and a check is due.
    pub(super) fn look(&mut self) -> wasmtime::Result<UpdateDeadline> {
        self.worked = 0;
        self.goes_on()?;
        self.pace_until(self.started.checked_add(self.call_timeout));
        let timeout = self.goes_on()?;
        let now = self.cpu_time();
        let from = *self.counting_from.get_or_insert(now);
        let used = now.saturating_sub(from);
        if used >= self.cpu_limit {
            return Err(HostTrap::error(
                FailureCode::CpuTime,
                format!("the call used more than cpu_time_per_call ({:?}) of CPU time", self.cpu_limit),
            ));
        }
        Ok(UpdateDeadline::Continue(self.ticks((self.cpu_limit - used).min(timeout))))
    }

    /// Sleeps until the lane is within its share, but not longer than a call may take, since other lanes may
    /// wait. The rest of the debt is paid next time.
    pub(super) fn pace(&mut self) {
        self.pace_until(Instant::now().checked_add(self.call_timeout));
    }

    /// Returns how long the pacer held the lane back since the last call of this method.
    pub(super) fn take_throttled(&mut self) -> Duration {
        std::mem::take(&mut self.throttled)
    }

    /// Takes the pacer out for the guest that replaces this one: the share belongs to the lane.
    pub(super) fn take_pacer(&mut self) -> Option<Box<dyn Pacer>> {
        self.pacer.take()
    }

    /// The remaining timeout of a call that may go on.
    fn goes_on(&self) -> wasmtime::Result<Duration> {
        if self.stop.is_set() {
            return Err(HostTrap::error(FailureCode::Timeout, "the run was stopped during the call"));
        }
        let timeout = self.timeout();
        if timeout.is_zero() { Err(self.timed_out()) } else { Ok(timeout) }
    }

    /// Sleeps off the lane's debt of CPU time, in short naps between which a stop is noticed.
    fn pace_until(&mut self, until: Option<Instant>) {
        let Some(pacer) = self.pacer.as_mut() else { return };
        while let Some(nap) = pacer.pace(self.helpers.cpu_time()) {
            let left = until.map_or(nap, |until| until.saturating_duration_since(Instant::now()));
            if left.is_zero() || self.stop.is_set() {
                return;
            }
            thread::sleep(nap.min(left));
            self.throttled += nap.min(left);
        }
    }

    /// CPU time used for the lane, on its own thread and on others.
    fn cpu_time(&self) -> Duration {
        thread_cpu_time() + self.helpers.cpu_time()
    }

    fn ticks(&self, wait: Duration) -> u64 {
        let longest = if self.pacer.is_some() { PACED_LOOK } else { LONGEST_LOOK };
        u64::try_from(wait.min(longest).as_millis()).unwrap_or(1).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn deadline(cpu_limit: Duration, call_timeout: Duration, pacer: Option<Box<dyn Pacer>>, stop: &Stop) -> Deadline {
        Deadline::new((cpu_limit, call_timeout), pacer, stop.clone(), Arc::default())
    }

    fn code(error: &wasmtime::Error) -> FailureCode {
        error.downcast_ref::<HostTrap>().unwrap().code
    }

    #[test]
    fn what_the_host_does_for_a_call_ends_with_the_calls_cpu_time() {
        let mut deadline = deadline(Duration::from_millis(5), HOUR, None, &Stop::default());
        deadline.begin();
        let error = (0_u64..).find_map(|_| deadline.worked(0).err()).unwrap();
        assert_eq!(code(&error), FailureCode::CpuTime);
    }

    #[test]
    fn what_the_host_does_for_a_call_ends_with_the_calls_time() {
        let mut deadline = deadline(HOUR, Duration::from_millis(5), None, &Stop::default());
        deadline.begin();
        let error = (0_u64..).find_map(|_| deadline.worked(0).err()).unwrap();
        assert_eq!(code(&error), FailureCode::Timeout);
        assert_eq!(code(&deadline.waits().unwrap_err()), FailureCode::Timeout);
    }

    #[test]
    fn a_stop_ends_calls_and_what_they_wait_for() {
        let stop = Stop::default();
        let mut deadline = deadline(HOUR, HOUR, None, &stop);
        deadline.begin();
        assert!(deadline.waits().unwrap() <= LONGEST_LOOK, "a stop is noticed soon");
        stop.set();
        let most = (0..LOOK_EVERY).find_map(|_| deadline.worked(0).err());
        assert!(most.unwrap().to_string().contains("stopped"));
        assert!(deadline.worked(UNIT_BYTES * LOOK_EVERY as usize).is_err(), "a huge entry counts as many units");
        assert!(deadline.look().is_err() && deadline.waits().is_err());
    }

    #[test]
    fn an_instantiation_counts_from_its_beginning() {
        let mut deadline = deadline(Duration::from_millis(5), HOUR, None, &Stop::default());
        deadline.begin_instance();
        let before = thread_cpu_time();
        while thread_cpu_time() - before < Duration::from_millis(6) {
            std::hint::spin_loop();
        }
        assert_eq!(code(&deadline.look().map(drop).unwrap_err()), FailureCode::CpuTime);
    }

    /// A pacer that asks for this number of naps.
    struct Owes(u32);

    impl Pacer for Owes {
        fn pace(&mut self, elsewhere: Duration) -> Option<Duration> {
            assert_eq!(elsewhere, Duration::ZERO);
            self.0 = self.0.checked_sub(1)?;
            Some(Duration::from_millis(2))
        }
    }

    #[test]
    fn what_a_lane_owes_to_its_share_is_paid_before_the_next_guest_is_made() {
        let mut owing = deadline(HOUR, HOUR, Some(Box::new(Owes(5))), &Stop::default());
        owing.begin_instance();
        assert_eq!(owing.take_throttled(), Duration::from_millis(10));
        let mut bounded = deadline(HOUR, Duration::from_millis(5), Some(Box::new(Owes(u32::MAX))), &Stop::default());
        bounded.pace();
        assert!(bounded.take_throttled() <= Duration::from_millis(5), "at most the time of one call at once");
        let stopped = Stop::default();
        stopped.set();
        let mut stopped = deadline(HOUR, HOUR, Some(Box::new(Owes(5))), &stopped);
        stopped.pace();
        assert_eq!(stopped.take_throttled(), Duration::ZERO);
    }
}
