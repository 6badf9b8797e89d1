use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

/// Why a model's file is not taken. Said before any data flows, to whoever declares it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ModelError {
    /// It cannot be read.
    #[error("cannot read {}: {reason}", .path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// It is larger than any that is taken.
    #[error("{} has {size} bytes, at most {limit} may be", .path.display())]
    TooLarge {
        /// Which.
        path: PathBuf,
        /// Its bytes.
        size: u64,
        /// How many may be.
        limit: u64,
    },
    /// It is not the file that was declared.
    #[error("{} has sha256 {actual}, declared is {declared}", .path.display())]
    Digest {
        /// Which.
        path: PathBuf,
        /// What it should hash to.
        declared: String,
        /// What it does.
        actual: String,
    },
    /// It is no model, or one that cannot run.
    #[error("{0}")]
    Refused(String),
    /// Looking at it took too long.
    #[error("examining it took more than {0:?}")]
    TimedOut(Duration),
    /// Looking at it took too much memory.
    #[error("examining it took more than {0} bytes of memory")]
    OutOfMemory(u64),
    /// The process that looked at it ended before it was done, or answered nonsense.
    #[error("the process that examined it {0}")]
    Died(String),
    /// There is no process to look at it in.
    #[error("there is no process to examine it in: {0}")]
    Unavailable(String),
}
