use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, Stdio};

use rustix::io::Errno;

/// How a copy of this process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// By itself, with what it made of it.
    Said(Errno),
    /// By a signal.
    Killed(i32),
}

/// What the copies do takes milliseconds. A kernel that lets one wait for ever (v1 does for memory, where a group above says
/// `oom_kill_disable`) must not keep whoever tries it out.
const PATIENCE_SECONDS: u32 = 10;

/// Starts a copy of this process that does one thing and ends, and waits for it, some seconds at most. It never becomes another program: there may be none on
/// this machine that it could become.
///
/// # Safety
/// `act` runs between fork and exec, where other threads may have held any lock: it must make system calls only, on what it owns.
pub(super) unsafe fn run(act: impl Fn() -> Errno + Send + Sync + 'static) -> io::Result<Ended> {
    let mut never = Command::new("/");
    never.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let end = move || -> io::Result<()> {
        // SAFETY: sets a timer of this process, which ends it: it has no handler, and nobody waits for this signal here. rustix has no safe
        // call for it.
        unsafe { libc::alarm(PATIENCE_SECONDS) };
        Err(io::Error::from(act()))
    };
    // SAFETY: the caller answers for `act`; making an error of a number allocates nothing. Safe code cannot run there at all.
    unsafe { never.pre_exec(end) };
    match never.spawn() {
        Err(cause) => Errno::from_io_error(&cause).map(Ended::Said).ok_or(cause),
        // What was killed has said nothing, which looks like having become another program.
        Ok(mut child) => match child.wait()?.signal() {
            Some(libc::SIGALRM) => Err(io::ErrorKind::TimedOut.into()),
            signal => Ok(Ended::Killed(signal.unwrap_or(0))),
        },
    }
}
