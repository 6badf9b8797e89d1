use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The CPU time that the calling thread has used. About 250 ns: once a batch, not once a record.
#[must_use]
pub fn thread_cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    duration(time.tv_sec, time.tv_nsec)
}

/// The CPU clock of one thread of this process, for other threads to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThreadClock(libc::clockid_t);

impl ThreadClock {
    /// The calling thread's.
    #[must_use]
    pub fn own() -> Self {
        let thread = rustix::thread::gettid().as_raw_nonzero().get();
        // How Linux numbers the CPU clocks of threads: pthread_getcpuclockid(3) makes the same of what the C library knows the thread's number to be.
        // The three low bits say: of a thread, by the scheduler's count.
        Self((!thread << 3) | 6)
    }

    /// What the thread has used; nothing where it has ended. Another thread may have its number by then: ask only while it runs.
    #[must_use]
    pub fn read(&self) -> Duration {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: `time` is a timespec of ours that the call writes; a clock that there is not is an error, and leaves it. rustix has no name for
        // clocks of other threads.
        let read = unsafe { libc::clock_gettime(self.0, &raw mut time) };
        if read == 0 { duration(time.tv_sec, time.tv_nsec) } else { Duration::ZERO }
    }
}

fn duration(seconds: i64, nanoseconds: i64) -> Duration {
    Duration::new(u64::try_from(seconds).unwrap_or(0), u32::try_from(nanoseconds).unwrap_or(0))
}
