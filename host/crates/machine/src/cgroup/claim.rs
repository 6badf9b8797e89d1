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

/// How long somebody may take to remove a group: longer than killing what is in it may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A group that this process holds: a lock of the kernel on its folder, let go when it is dropped and when the process ends, however it
/// ends. So whoever can lock a group alone knows that nobody living uses it.
///
/// A pipeline's group is held alone, by its supervisor; a tenant's and the slice by everybody who uses them, together.
#[derive(Debug)]
pub(super) struct Claim(Locked);

/// What came of trying.
#[derive(Debug)]
pub(super) enum Claimed {
    /// Held, and still the group of that name.
    Ours(Claim),
    /// Somebody else holds it.
    Theirs,
    /// It was removed meanwhile, or never there.
    Gone,
}

impl Claim {
    /// Tries to hold a group that is there.
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
        // Whoever removes a group holds it alone: from here on it stays, if it is the one of that name.
        let claim = Self(lock);
        Ok(if claim.is_of(folder) { Claimed::Ours(claim) } else { Claimed::Gone })
    }

    /// Makes a group, unless it is there, and holds it; `None` where somebody else does.
    ///
    /// What is held together, somebody else holds alone only while removing it: that is waited for.
    pub(super) fn make(folder: &Path, hold: Hold) -> Result<Option<Self>, CgroupError> {
        let started = Instant::now();
        loop {
            make_folder(folder)?;
            match Self::take(folder, hold)? {
                Claimed::Ours(claim) => return Ok(Some(claim)),
                Claimed::Theirs if matches!(hold, Hold::Alone) || started.elapsed() > PATIENCE => return Ok(None),
                Claimed::Theirs => thread::yield_now(),
                // Removed by somebody between the two steps, who made progress by it.
                Claimed::Gone => {}
            }
        }
    }

    /// Holds a group that is not ours to make, together with whoever does. Somebody holds it alone only for a moment, which is waited for.
    pub(super) fn join(folder: &Path) -> Result<Self, CgroupError> {
        let started = Instant::now();
        loop {
            match Self::take(folder, Hold::Together)? {
                Claimed::Ours(claim) => return Ok(claim),
                Claimed::Theirs if started.elapsed() < PATIENCE => thread::yield_now(),
                Claimed::Theirs | Claimed::Gone => return Err(CgroupError::InUse { path: folder.to_owned() }),
            }
        }
    }

    /// Whether nobody else holds it, and from now on nobody else can. To be asked when giving it up: where it says no, the claim
    /// may be lost.
    pub(super) fn alone(&self, folder: &Path) -> bool {
        flock(self.0.file(), FlockOperation::NonBlockingLockExclusive).is_ok() && self.is_of(folder)
    }

    /// Whether the group of this name is still the one that is held.
    fn is_of(&self, folder: &Path) -> bool {
        let held = fstat(self.0.file()).map(|held| (held.st_dev, held.st_ino));
        let now = stat(folder).map(|now| (now.st_dev, now.st_ino));
        held.is_ok() && held == now
    }
}

/// Makes a group; `true` when it was not there.
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
