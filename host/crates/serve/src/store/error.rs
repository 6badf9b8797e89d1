use std::io;
use std::path::{Path, PathBuf};

use sage_jobs::JobError;
use sage_signatures::SignatureError;

/// Why the state folder cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The operating system refused.
    #[error("cannot {action} {path}: {source}", path = path.display())]
    Io {
        /// What was tried, such as `make`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// A file of a job.
    #[error(transparent)]
    Job(#[from] JobError),
    /// Another server works with the state folder.
    #[error("another server uses {path}", path = path.display())]
    Locked {
        /// The state folder.
        path: PathBuf,
    },
    /// The bytes that arrived are not those that were announced.
    #[error("the bytes have the digest {actual}, not {announced}")]
    Digest {
        /// The digest in the request.
        announced: String,
        /// The digest of the bytes.
        actual: String,
    },
    /// More bytes arrived than a file may have.
    #[error("the file has more than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// A signature does not count.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// A tenant has as many secrets as it may.
    #[error("there are {limit} secrets, which is the most that a tenant may have")]
    TooMany {
        /// The limit.
        limit: usize,
    },
    /// A tenant cannot be given a user.
    #[error("tenant {tenant} has no user: {why}")]
    Users {
        /// The tenant.
        tenant: String,
        /// The reason.
        why: String,
    },
    /// Users of tenants do not reach the state folder.
    #[error("users of tenants do not reach {path}: {closed} has mode {mode:o}", path = path.display(), closed = closed.display())]
    Closed {
        /// The state folder.
        path: PathBuf,
        /// The folder above it that not everybody may pass.
        closed: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// A file that a pipeline refers to was not uploaded.
    #[error("the file {digest} is not here")]
    Missing {
        /// Its digest.
        digest: String,
    },
}

impl StoreError {
    /// Whether the state folder takes no more writes, because the disk is full or can only be read. Then the server
    /// answers questions, and takes no new work.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        let kinds = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded, io::ErrorKind::ReadOnlyFilesystem];
        match self {
            Self::Io { source, .. } | Self::Job(JobError::Io { source, .. }) => kinds.contains(&source.kind()),
            _ => false,
        }
    }
}

/// Names the action and the path of a failed operation.
pub(super) fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::Io { action, path, source }
}
