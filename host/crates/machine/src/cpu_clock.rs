use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The CPU time that the calling thread has used. A call takes about 250 ns: call this once for each batch,
/// not for each record.
#[must_use]
pub fn thread_cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    duration(time.tv_sec, time.tv_nsec)
}

/// The CPU time that all threads of this process have used.
#[must_use]
pub fn process_cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    duration(time.tv_sec, time.tv_nsec)
}

/// The CPU time that all threads of another process have used; zero if there is no such process.
pub(super) fn process_cpu_time_of(process: i32) -> Duration {
    // As for threads; clock_getcpuclockid(3) gives the same result.
    read((!process << 3) | 2)
}

/// The CPU clock of one thread of this process. Other threads can read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThreadClock(libc::clockid_t);

impl ThreadClock {
    /// The calling thread's CPU clock.
    #[must_use]
    pub fn own() -> Self {
        let thread = rustix::thread::gettid().as_raw_nonzero().get();
        // Linux computes the id of a thread's CPU clock like this; pthread_getcpuclockid(3) gives the same
        // result. The three low bits mean "clock of a thread, as the scheduler counts".
        Self((!thread << 3) | 6)
    }

    /// The CPU time that the thread has used; zero if the thread has ended. Call this only while the thread
    /// runs: after its end, another thread may have its number.
    #[must_use]
    pub fn read(&self) -> Duration {
        read(self.0)
    }
}

fn read(clock: libc::clockid_t) -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a local timespec that the call writes. An unknown clock is an error and leaves `time`
    // unchanged. rustix has no name for the clocks of other threads and processes.
    let read = unsafe { libc::clock_gettime(clock, &raw mut time) };
    if read == 0 { duration(time.tv_sec, time.tv_nsec) } else { Duration::ZERO }
}

fn duration(seconds: i64, nanoseconds: i64) -> Duration {
    Duration::new(u64::try_from(seconds).unwrap_or(0), u32::try_from(nanoseconds).unwrap_or(0))
}
