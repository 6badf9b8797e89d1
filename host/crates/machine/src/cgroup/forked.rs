use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, Stdio};

use rustix::io::Errno;

/// The end of a copy of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// The copy ended by itself, with this result.
    Said(Errno),
    /// The copy was killed by this signal.
    Killed(i32),
}

/// Longest life of a copy; its work takes milliseconds. Some kernels let a process wait for ever (v1 does for
/// memory, if a group above has `oom_kill_disable`), and this must not block the caller.
const TIMEOUT_SECONDS: u32 = 10;

/// Starts a copy of this process that runs `act` and ends, and waits for it, for some seconds at most. The
/// copy never executes another program, because the machine may have none to execute.
///
/// # Safety
/// `act` runs between fork and exec, where other threads may have held any lock. `act` must only make system
/// calls, on data that it owns.
pub(super) unsafe fn run(act: impl Fn() -> Errno + Send + Sync + 'static) -> io::Result<Ended> {
    let mut never = Command::new("/");
    never.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let end = move || -> io::Result<()> {
        // SAFETY: sets a timer that ends this process: the signal has no handler, and no code here waits for
        // it. rustix has no safe call for it.
        unsafe { libc::alarm(TIMEOUT_SECONDS) };
        Err(io::Error::from(act()))
    };
    // SAFETY: the caller answers for `act`. Making an error from a number allocates nothing. Safe code cannot
    // run there at all.
    unsafe { never.pre_exec(end) };
    match never.spawn() {
        Err(cause) => Errno::from_io_error(&cause).map(Ended::Said).ok_or(cause),
        // A killed copy has reported nothing, which looks like a successful exec.
        Ok(mut child) => match child.wait()?.signal() {
            Some(libc::SIGALRM) => Err(io::ErrorKind::TimedOut.into()),
            signal => Ok(Ended::Killed(signal.unwrap_or(0))),
        },
    }
}
