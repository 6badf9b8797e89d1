use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// The reason why a process could not give up its privileges. The process must not continue.
#[derive(Debug, Error)]
pub enum LockdownError {
    /// Other threads exist already and would keep the privileges.
    #[error("the process has {count} threads before its lockdown, 1 is allowed")]
    ThreadsRunning {
        /// The number of threads.
        count: usize,
    },
    /// A granted folder cannot be opened.
    #[error("the granted folder {folder} cannot be opened: {reason}")]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// The reason.
        reason: String,
    },
    /// The kernel refused a step.
    #[error("the process cannot {what}: {source}")]
    Step {
        /// The step.
        what: &'static str,
        /// The error of the kernel.
        source: io::Error,
    },
    /// The kernel refused the restrictions on files, TCP and signals.
    #[error("the process cannot restrict itself by landlock: {0}")]
    Landlock(#[from] landlock::RulesetError),
    /// The kernel refused the system call filter.
    #[error("the process cannot filter its system calls: {0}")]
    Filter(#[from] seccompiler::Error),
    /// There is no system call filter for this architecture.
    #[error("system calls are not filtered on {0}, only on x86_64 and aarch64")]
    Machine(&'static str),
    /// A step succeeded, but its restriction does not hold.
    #[error("after its lockdown the process still {what}")]
    NotHolding {
        /// The action that the process can still perform.
        what: String,
    },
}

impl LockdownError {
    /// Converts a kernel error into the error of a step.
    pub fn step<E: Into<io::Error>>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |error| Self::Step { what, source: error.into() }
    }
}
