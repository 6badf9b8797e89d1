use std::fs::{DirBuilder, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock, fstat, stat};

use super::super::cpu_lease::{Hold, Locked};
use super::CgroupError;

/// Longest wait for another process that removes a group. Longer than killing the group's processes may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A claim on a group: a kernel lock on the group's folder, released on drop and when the process ends. An
/// exclusive lock therefore proves that no living process uses the group.
///
/// A pipeline's group is held exclusively by its supervisor. A tenant's group and the slice are shared by all
/// their users.
#[derive(Debug)]
pub(super) struct Claim(Locked);

/// The result of an attempt to claim a group.
#[derive(Debug)]
pub(super) enum Claimed {
    /// The group is claimed, and the name still leads to it.
    Ours(Claim),
    /// Another process holds the group.
    Theirs,
    /// The group was removed in the meantime, or never existed.
    Gone,
}

impl Claim {
    /// Tries to claim an existing group.
    pub(super) fn take(folder: &Path, hold: Hold) -> Result<Claimed, CgroupError> {
        let file = match File::open(folder) {
            Ok(file) => file,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(Claimed::Gone),
            Err(cause) => return Err(CgroupError::Read { path: folder.to_owned(), cause }),
        };
        let lock = Locked::now(OwnedFd::from(file), hold);
        let Ok(lock) = lock.map_err(|cause| CgroupError::Lock { path: folder.to_owned(), cause })? else {
            return Ok(Claimed::Theirs);
        };
        // A process removes a group only while it holds it exclusively. From here on the group stays, if the
        // name still leads to it.
        let claim = Self(lock);
        Ok(if claim.is_of(folder) { Claimed::Ours(claim) } else { Claimed::Gone })
    }

    /// Makes a group, unless it exists, and claims it; `None` if another process holds it.
    ///
    /// A shared claim waits: another process holds the group exclusively only while removing it.
    pub(super) fn make(folder: &Path, hold: Hold) -> Result<Option<Self>, CgroupError> {
        let started = Instant::now();
        loop {
            make_folder(folder)?;
            match Self::take(folder, hold)? {
                Claimed::Ours(claim) => return Ok(Some(claim)),
                Claimed::Theirs if matches!(hold, Hold::Alone) || started.elapsed() > TIMEOUT => return Ok(None),
                Claimed::Theirs => thread::yield_now(),
                // Another process removed the group between the two steps, so that process made progress.
                Claimed::Gone => {}
            }
        }
    }

    /// Claims a group that belongs to others, shared with its other users. Waits while another process holds
    /// it exclusively, which takes only a moment.
    pub(super) fn join(folder: &Path) -> Result<Self, CgroupError> {
        let started = Instant::now();
        loop {
            match Self::take(folder, Hold::Together)? {
                Claimed::Ours(claim) => return Ok(claim),
                Claimed::Theirs if started.elapsed() < TIMEOUT => thread::yield_now(),
                Claimed::Theirs | Claimed::Gone => return Err(CgroupError::InUse { path: folder.to_owned() }),
            }
        }
    }

    /// True if no other process holds the group, and none can hold it from now on. Call this when giving the
    /// claim up: after `false`, the claim may be lost.
    pub(super) fn alone(&self, folder: &Path) -> bool {
        flock(self.0.file(), FlockOperation::NonBlockingLockExclusive).is_ok() && self.is_of(folder)
    }

    /// True if the name still leads to the group that is held.
    fn is_of(&self, folder: &Path) -> bool {
        let held = fstat(self.0.file()).map(|held| (held.st_dev, held.st_ino));
        let now = stat(folder).map(|now| (now.st_dev, now.st_ino));
        held.is_ok() && held == now
    }
}

/// Makes a group. Returns `true` if it did not exist.
pub(super) fn make_folder(folder: &Path) -> Result<bool, CgroupError> {
    match DirBuilder::new().mode(0o755).create(folder) {
        Ok(()) => Ok(true),
        Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(cause) => Err(CgroupError::Make { path: folder.to_owned(), cause }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_held_alone_or_together_and_free_when_dropped() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("g");
        assert!(matches!(Claim::take(&folder, Hold::Alone).unwrap(), Claimed::Gone));
        let alone = Claim::make(&folder, Hold::Alone).unwrap().unwrap();
        assert!(matches!(Claim::take(&folder, Hold::Together).unwrap(), Claimed::Theirs));
        assert!(Claim::make(&folder, Hold::Alone).unwrap().is_none());
        drop(alone);
        let first = Claim::make(&folder, Hold::Together).unwrap().unwrap();
        let second = Claim::make(&folder, Hold::Together).unwrap().unwrap();
        assert!(!first.alone(&folder));
        drop((first, second));
        let last = Claim::make(&folder, Hold::Together).unwrap().unwrap();
        assert!(last.alone(&folder));
    }
}
