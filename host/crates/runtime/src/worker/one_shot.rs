use std::io::{self, Read};
use std::os::fd::RawFd;

use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};
use thiserror::Error;

use sage_process::lockdown::{Lockdown, LockdownError, ProcessLimits, Purpose};
use sage_sandbox::LoadError;

/// The setup of a one-shot process, which examines one untrusted item, reports the result, and ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OneShotSetup {
    /// Maximum bytes of memory.
    pub memory: u64,
    /// Maximum seconds of CPU time.
    pub cpu_seconds: u64,
    /// The parent process. The one-shot process ends with it.
    pub parent: u32,
}

/// The reason why a one-shot process ends without a reply.
#[derive(Debug, Error)]
pub enum OneShotError {
    /// The parent is gone.
    #[error("the parent process {0} is gone")]
    Orphaned(u32),
    /// A privilege could not be given up. Nothing was examined.
    #[error(transparent)]
    Lockdown(#[from] LockdownError),
    /// The engine for compilation does not start.
    #[error(transparent)]
    Engine(#[from] LoadError),
    /// The item cannot be read, or the reply cannot be written.
    #[error("cannot {what}: {source}")]
    Pipe {
        /// The action that failed.
        what: &'static str,
        /// The reason.
        source: io::Error,
    },
}

impl OneShotSetup {
    /// Ties the process to the life of its parent, and gives up every right except `open_files` descriptors.
    /// The standard streams and `keep` count among them.
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

/// Reads all of the standard input. `what` names this action in errors.
pub(super) fn read_all(what: &'static str) -> Result<Vec<u8>, OneShotError> {
    let mut all = Vec::new();
    io::stdin().lock().read_to_end(&mut all).map_err(broken(what))?;
    Ok(all)
}

pub(super) fn broken(what: &'static str) -> impl FnOnce(io::Error) -> OneShotError {
    move |source| OneShotError::Pipe { what, source }
}
