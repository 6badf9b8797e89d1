use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

/// The reason why a model's file is refused, reported before any data flows.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ModelError {
    /// The file cannot be read.
    #[error("cannot read {}: {reason}", .path.display())]
    Unreadable {
        /// The path of the file.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// The file exceeds the size limit.
    #[error("{} has {size} bytes, at most {limit} may be", .path.display())]
    TooLarge {
        /// The path of the file.
        path: PathBuf,
        /// The size of the file in bytes.
        size: u64,
        /// The size limit in bytes.
        limit: u64,
    },
    /// The file is not the declared one.
    #[error("{} has sha256 {actual}, declared is {declared}", .path.display())]
    Digest {
        /// The path of the file.
        path: PathBuf,
        /// The declared SHA-256 digest.
        declared: String,
        /// The actual SHA-256 digest.
        actual: String,
    },
    /// The file is not a model, or the model cannot run.
    #[error("{0}")]
    Refused(String),
    /// The examination took too long.
    #[error("examining it took more than {0:?}")]
    TimedOut(Duration),
    /// The examination used too much memory.
    #[error("examining it took more than {0} bytes of memory")]
    OutOfMemory(u64),
    /// The process of the examination ended early, or gave an invalid answer.
    #[error("the process that examined it {0}")]
    Died(String),
    /// No process can be started for the examination.
    #[error("there is no process to examine it in: {0}")]
    Unavailable(String),
}
