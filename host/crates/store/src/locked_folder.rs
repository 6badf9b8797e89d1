use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, Mode, OFlags, flock, openat};
use rustix::io::Errno;
use rustix::process::geteuid;
use sage_machine::LockHolder;

use crate::current::{CURRENT, CURRENT_NEW};
use crate::disk::Disk as _;
use crate::error::{StoreError, failed};
use crate::folder_disk::FolderDisk;
use crate::segment::segment_number;

/// The file that is locked.
pub(crate) const LOCK: &str = "lock";

/// The lock of a folder of checkpoints. The kernel releases it with the process, however that ends.
///
/// The file stays when the lock is released: otherwise a second process could lock its successor.
#[derive(Debug)]
#[must_use = "the lock is released when this is dropped"]
pub(crate) struct FolderLock(OwnedFd);

impl Drop for FolderLock {
    fn drop(&mut self) {
        // A child that was forked meanwhile may still have the descriptor.
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

/// Longest wait for the lock of another process, and the pause between two tries.
const PATIENCE: Duration = Duration::from_millis(500);
const PAUSE: Duration = Duration::from_millis(5);

/// Makes the folder if there is none. It has its name for good when this returns: a folder that vanishes with a loss of
/// power would take its checkpoints along.
pub(crate) fn make(path: &Path) -> Result<(), StoreError> {
    let mut unnamed: Vec<_> = path.ancestors().take_while(|folder| !folder.exists()).collect();
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|source| match is_read_only(&source) {
        true => StoreError::ReadOnly { folder: path.to_owned(), source },
        false => failed("make", path)(source),
    })?;
    if unnamed.is_empty() {
        // A process that was killed may have made it just before.
        unnamed.push(path);
    }
    for folder in unnamed {
        let above = match folder.parent() {
            Some(above) if above.as_os_str().is_empty() => Path::new("."),
            Some(above) => above,
            None => continue,
        };
        match File::open(above).and_then(|above| above.sync_all()) {
            // Whoever may not read a folder did not make anything in it.
            Err(error) if is_read_only(&error) => {}
            synced => synced.map_err(failed("sync", above))?,
        }
    }
    Ok(())
}

/// Opens the folder and locks it for this process alone.
pub(crate) fn lock(path: &Path) -> Result<(FolderDisk, FolderLock), StoreError> {
    let disk = FolderDisk::open(path).map_err(failed("open", path))?;
    let found = fs::metadata(path).map_err(failed("read", path))?;
    let me = geteuid().as_raw();
    if found.uid() != me {
        return Err(StoreError::Owner { folder: path.to_owned(), owner: found.uid(), me });
    }
    if found.mode() & 0o022 != 0 {
        return Err(StoreError::OpenToOthers { folder: path.to_owned(), mode: found.mode() & 0o7777 });
    }
    if let Some(name) = foreign(&disk).map_err(failed("read", path))? {
        return Err(StoreError::NotCheckpoints { folder: path.to_owned(), name });
    }
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = openat(disk.folder(), LOCK, flags, Mode::RUSR | Mode::WUSR).map_err(|error| {
        let source = io::Error::from(error);
        match is_read_only(&source) {
            true => StoreError::ReadOnly { folder: path.to_owned(), source },
            false => failed("open", path.join(LOCK))(source),
        }
    })?;
    // A process that a killed run was just starting has its descriptors for a moment, until it runs its program.
    let until = Instant::now() + PATIENCE;
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok((disk, FolderLock(file))),
            Err(Errno::WOULDBLOCK) if Instant::now() < until => std::thread::sleep(PAUSE),
            Err(Errno::WOULDBLOCK) => {
                return Err(StoreError::InUse { folder: path.to_owned(), holder: LockHolder::of(&file) });
            }
            Err(error) => return Err(failed("lock", path.join(LOCK))(error.into())),
        }
    }
}

/// Whether a folder has checkpoints, be they damaged.
pub(crate) fn is_checkpoints(disk: &FolderDisk) -> Result<bool, StoreError> {
    let names = disk.names().map_err(failed("read", disk.path("")))?;
    Ok(names.iter().any(|name| name == CURRENT || segment_number(name).is_some()))
}

/// A file of someone else in a folder that has no checkpoints.
fn foreign(disk: &FolderDisk) -> io::Result<Option<String>> {
    let names = disk.names()?;
    if names.iter().any(|name| name == CURRENT) {
        return Ok(None);
    }
    Ok(names.into_iter().find(|name| name != LOCK && name != CURRENT_NEW && segment_number(name).is_none()))
}

/// The process that has the folder open, for a report.
pub(crate) fn holder(disk: &FolderDisk) -> Option<LockHolder> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    LockHolder::of(openat(disk.folder(), LOCK, flags, Mode::empty()).ok()?)
}

fn is_read_only(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem)
}
