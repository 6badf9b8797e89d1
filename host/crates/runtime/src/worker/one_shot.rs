use std::io::{self, Read};
use std::os::fd::RawFd;

use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};
use thiserror::Error;

use sage_process::lockdown::{Lockdown, LockdownError, ProcessLimits, Purpose};
use sage_sandbox::LoadError;

/// What a process is told that looks at one thing a stranger wrote, says what it found, and is thrown away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OneShotSetup {
    /// Bytes of memory that it may take.
    pub memory: u64,
    /// Seconds of CPU time that it may take.
    pub cpu_seconds: u64,
    /// The process that started it, and with which it ends.
    pub parent: u32,
}

/// Why such a process ends without a reply.
#[derive(Debug, Error)]
pub enum OneShotError {
    /// Whoever started it is gone.
    #[error("the process {0} that wanted this looked at is gone")]
    Orphaned(u32),
    /// A right could not be given up: nothing was looked at.
    #[error(transparent)]
    Lockdown(#[from] LockdownError),
    /// The engine that compiles does not start.
    #[error(transparent)]
    Engine(#[from] LoadError),
    /// What is to be looked at cannot be read, or the reply not written.
    #[error("cannot {what}: {source}")]
    Pipe {
        /// What was tried.
        what: &'static str,
        /// Why it did not work.
        source: io::Error,
    },
}

impl OneShotSetup {
    /// Ends with its parent from here on, and gives up every right but to `open_files` descriptors, its standard streams and `keep` among them.
    pub(super) fn begin(self, open_files: u64, keep: &[RawFd]) -> Result<(), OneShotError> {
        set_parent_process_death_signal(Some(Signal::KILL))
            .map_err(|errno| broken("ask to end with its parent")(errno.into()))?;
        if getppid().map(Pid::as_raw_pid) != i32::try_from(self.parent).ok() {
            return Err(OneShotError::Orphaned(self.parent));
        }
        let lockdown = Lockdown {
            purpose: Purpose::Compile,
            keep: [0, 1, 2].iter().chain(keep).copied().collect(),
            folders: Vec::new(),
            connect: Vec::new(),
            limits: ProcessLimits {
                open_files,
                file_bytes: Some(0),
                data_bytes: Some(self.memory),
                cpu_seconds: Some(self.cpu_seconds),
            },
        };
        lockdown.apply()?;
        Ok(())
    }
}

/// All of the standard input; `what` is reading it, in errors.
pub(super) fn read_all(what: &'static str) -> Result<Vec<u8>, OneShotError> {
    let mut all = Vec::new();
    io::stdin().lock().read_to_end(&mut all).map_err(broken(what))?;
    Ok(all)
}

pub(super) fn broken(what: &'static str) -> impl FnOnce(io::Error) -> OneShotError {
    move |source| OneShotError::Pipe { what, source }
}
