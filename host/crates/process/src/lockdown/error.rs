use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why a process could not give up its privileges. It must not go on then.
#[derive(Debug, Error)]
pub enum LockdownError {
    /// There are threads already, which would keep what this one gives up.
    #[error("the process has {count} threads before its lockdown, 1 is allowed")]
    ThreadsRunning {
        /// How many.
        count: usize,
    },
    /// A granted folder cannot be opened.
    #[error("the granted folder {folder} cannot be opened: {reason}")]
    Folder {
        /// Which.
        folder: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The kernel refused a step.
    #[error("the process cannot {what}: {source}")]
    Step {
        /// Which step.
        what: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel refused the fence around files, TCP and signals.
    #[error("the process cannot restrict itself by landlock: {0}")]
    Landlock(#[from] landlock::RulesetError),
    /// The kernel refused the filter of system calls.
    #[error("the process cannot filter its system calls: {0}")]
    Filter(#[from] seccompiler::Error),
    /// No filter of system calls is known for this machine.
    #[error("system calls are not filtered on {0}, only on x86_64 and aarch64")]
    Machine(&'static str),
    /// A step succeeded but what it should bring does not hold.
    #[error("after its lockdown the process still {what}")]
    NotHolding {
        /// What it can still do.
        what: String,
    },
}

impl LockdownError {
    /// Makes the error of a step out of what the kernel said.
    pub fn step<E: Into<io::Error>>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |error| Self::Step { what, source: error.into() }
    }
}
