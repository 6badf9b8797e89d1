use std::io;
use std::path::PathBuf;

/// Why a file of a job cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The operating system refused.
    #[error("cannot {action} {path}: {source}", path = path.display())]
    Io {
        /// What was tried, such as `read`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },

    /// The file is not what its name says.
    #[error("{path} is not readable: {reason}", path = path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: String,
    },

    /// Another process is this job.
    #[error("the job in {path} runs already", path = path.display())]
    Alive {
        /// The folder of the job.
        path: PathBuf,
    },

    /// The file is of a version that this program does not know.
    #[error("{path} is of version {version}, and this program knows {known}", path = path.display(), known = crate::VERSION)]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: u32,
    },

    /// The attempt of the order is not a new one.
    #[error("attempt {attempt} of the job in {path} has begun before", path = path.display())]
    Begun {
        /// The folder of the job.
        path: PathBuf,
        /// The attempt of its order.
        attempt: u32,
    },
}

impl JobError {
    /// Whether the file is absent, which is no fault for most files of a job.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }

    /// Whether the disk has no room, by its size or by a quota.
    #[must_use]
    pub fn is_full_disk(&self) -> bool {
        let full = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded];
        matches!(self, Self::Io { source, .. } if full.contains(&source.kind()))
    }
}

/// Names the action and the path of a failed operation.
pub(crate) fn failed(action: &'static str, path: &std::path::Path) -> impl FnOnce(io::Error) -> JobError {
    let path = path.to_owned();
    move |source| JobError::Io { action, path, source }
}
