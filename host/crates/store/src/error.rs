use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use sage_machine::LockHolder;

use crate::frame::FrameKind;

/// Why checkpoints cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has the folder open.
    #[error("the checkpoints in {folder} are in use by {holder}", folder = folder.display(), holder = told(*holder))]
    InUse {
        /// The folder.
        folder: PathBuf,
        /// The process, if the kernel reports it.
        holder: Option<LockHolder>,
    },

    /// The folder belongs to another user.
    #[error("the folder of checkpoints {folder} belongs to user {owner}, not to user {me}", folder = folder.display())]
    Owner {
        /// The folder.
        folder: PathBuf,
        /// Its owner.
        owner: u32,
        /// The user of this process.
        me: u32,
    },

    /// Other users may write to the folder.
    #[error("other users may write to the folder of checkpoints {folder} (mode {mode:o})", folder = folder.display())]
    OpenToOthers {
        /// The folder.
        folder: PathBuf,
        /// Its mode.
        mode: u32,
    },

    /// The folder cannot be written.
    #[error("the folder of checkpoints {folder} cannot be written: {source}", folder = folder.display())]
    ReadOnly {
        /// The folder.
        folder: PathBuf,
        /// The reason.
        source: io::Error,
    },

    /// The folder has files of someone else, and no checkpoints.
    #[error("{folder} is not a folder of checkpoints: it contains {name:?}", folder = folder.display())]
    NotCheckpoints {
        /// The folder.
        folder: PathBuf,
        /// One of its files.
        name: String,
    },

    /// There is a savepoint of this name.
    #[error("there is a savepoint {path} already", path = path.display())]
    Exists {
        /// Its folder.
        path: PathBuf,
    },

    /// There are no checkpoints where they were looked for.
    #[error("{folder} has no checkpoints", folder = folder.display())]
    Absent {
        /// The folder.
        folder: PathBuf,
    },

    /// The checkpoints are damaged.
    #[error(transparent)]
    Damaged(#[from] Box<Damage>),

    /// A newer version of this program wrote the checkpoints.
    #[error("{path} is of a newer version: it has {what}, which this program does not know", path = path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// The unknown part, such as `format 2`.
        what: String,
    },

    /// There is no such epoch.
    #[error("epoch {number} cannot be restored; whole epochs: {whole}", whole = Numbers(whole))]
    NoSuchEpoch {
        /// The epoch.
        number: u64,
        /// The epochs that can be restored.
        whole: Vec<u64>,
    },

    /// The checkpoints are of a run that has not come to its end.
    #[error("a run that has not ended can go on from epoch {number} in {folder}", folder = folder.display())]
    NotEnded {
        /// The folder.
        folder: PathBuf,
        /// The last epoch.
        number: u64,
    },

    /// The first epoch holds changes.
    #[error("an epoch of changes was begun, and there is no whole state before it")]
    NoBase,

    /// A frame of changes in an epoch of whole states, or the other way round.
    #[error("a frame of kind {kind} does not belong into an epoch of {epoch}", kind = kind.name(),
            epoch = if *is_base { "whole states" } else { "changes" })]
    Misplaced {
        /// The kind of the frame.
        kind: FrameKind,
        /// Whether the epoch is one of whole states.
        is_base: bool,
    },

    /// A part of an epoch is too long.
    #[error("the {what} has {length} bytes, and at most {limit} are stored")]
    TooLong {
        /// The part, such as `body of a frame`.
        what: &'static str,
        /// Its length.
        length: usize,
        /// The longest length.
        limit: usize,
    },

    /// The store was opened despite damage, and nobody has decided yet which epoch is the last one.
    #[error("the checkpoints in {folder} are damaged, and no epoch was chosen", folder = folder.display())]
    Undecided {
        /// The folder.
        folder: PathBuf,
    },

    /// An earlier write failed. It is unknown what the disk holds, so nothing more is written.
    #[error("no checkpoint is written after a failure: {cause}")]
    Poisoned {
        /// The failure.
        cause: String,
    },

    /// The operating system refused.
    #[error("cannot {action} {path}: {source}", path = path.display())]
    Io {
        /// The action, such as `sync`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
}

/// Damaged checkpoints: the place, and what is still whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path} is damaged at byte {byte}: {reason}; whole epochs: {whole}",
        path = path.display(), whole = Numbers(whole))]
pub struct Damage {
    /// The damaged file.
    pub path: PathBuf,
    /// The first damaged byte.
    pub byte: u64,
    /// The reason.
    pub reason: String,
    /// The epochs that can be restored nevertheless, in rising order.
    pub whole: Vec<u64>,
}

impl StoreError {
    /// A hint for the user.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::InUse { .. } => Some("stop that run, or choose another folder"),
            Self::Owner { .. } => Some("run as that user, or choose another folder"),
            Self::OpenToOthers { .. } => Some("take the right to write away from others: chmod go-w"),
            Self::NotCheckpoints { .. } => Some("choose an empty folder, or one that does not exist"),
            Self::Damaged(damage) if damage.whole.is_empty() => Some("start afresh with --from none"),
            Self::Damaged(_) => {
                Some("choose one of the whole epochs with --from epoch:N, or start afresh with --from none")
            }
            Self::Newer { .. } => Some("use the version that wrote it, or a newer one"),
            Self::NotEnded { .. } => Some("remove it nevertheless with --force"),
            Self::Exists { .. } => Some("choose another name"),
            Self::NoSuchEpoch { .. } => Some("`sage-host state inspect` lists the epochs"),
            _ if self.is_full_disk() => Some("make room on the disk, then go on with --from last"),
            _ => None,
        }
    }

    /// Whether the disk has no room, by its size or by a quota.
    #[must_use]
    pub fn is_full_disk(&self) -> bool {
        let full = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded];
        matches!(self, Self::Io { source, .. } if full.contains(&source.kind()))
    }
}

/// Why an epoch was not restored: the store's reason, or the reason of whoever took the frames.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError<E> {
    /// The store cannot read the epoch.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The receiver of the frames refused one.
    #[error("{0}")]
    Receiver(E),
}

/// Names the action and the path of a failed operation.
pub(crate) fn failed(action: &'static str, path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.as_ref().to_owned();
    move |source| StoreError::Io { action, path, source }
}

fn told(holder: Option<LockHolder>) -> String {
    holder.map_or_else(|| "another process".to_owned(), |holder| holder.to_string())
}

/// Numbers in rising order, with runs as ranges.
struct Numbers<'a>(&'a [u64]);

impl fmt::Display for Numbers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        let runs = self.0.chunk_by(|a, b| a.checked_add(1) == Some(*b));
        for (i, run) in runs.enumerate() {
            f.write_str(if i == 0 { "" } else { ", " })?;
            match run {
                [only] => write!(f, "{only}")?,
                [first, .., last] => write!(f, "{first} to {last}")?,
                [] => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_epochs_are_told_as_ranges() {
        for (numbers, text) in
            [(vec![], "none"), (vec![7], "7"), (vec![1, 2, 3], "1 to 3"), (vec![1, 2, 5, 7, 8], "1 to 2, 5, 7 to 8")]
        {
            assert_eq!(Numbers(&numbers).to_string(), text);
        }
    }
}
