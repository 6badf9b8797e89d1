use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::error::{RestoreError, StoreError, failed};
use crate::fault_point::fault_point;
use crate::folder_disk::FolderDisk;
use crate::frame::{Frame, FrameKind};
use crate::locked_folder::{holder, is_checkpoints, make};
use crate::store::Store;

/// The folder of the savepoints in a folder of checkpoints.
const SAVEPOINTS: &str = "savepoints";
/// What a savepoint is, for people.
const MANIFEST: &str = "manifest.toml";
/// What follows the name of a savepoint that is being written.
const UNFINISHED: &str = ".new";

impl Store {
    /// The place of a savepoint of a folder of checkpoints.
    #[must_use]
    pub fn savepoint_path(folder: &Path, name: &str) -> PathBuf {
        folder.join(SAVEPOINTS).join(name)
    }

    /// Whether a folder looks like one of checkpoints, so that opening it makes nothing in a folder of someone else.
    #[must_use]
    pub fn is_in(folder: &Path) -> bool {
        FolderDisk::open(folder).is_ok_and(|disk| is_checkpoints(&disk).unwrap_or(false))
    }

    /// Whether a process has the folder of checkpoints open.
    #[must_use]
    pub fn is_in_use(folder: &Path) -> bool {
        FolderDisk::open(folder).is_ok_and(|disk| holder(&disk).is_some())
    }

    /// Copies an epoch to a savepoint of this folder: a folder of checkpoints of its own, with one epoch of whole
    /// states, and `words` about it in `manifest.toml`. Nothing ever deletes it.
    ///
    /// The savepoint has its name when it is whole and durable. What is left of one that did not become whole is
    /// replaced.
    ///
    /// # Errors
    /// [`StoreError::Exists`] if there is a savepoint of this name; [`StoreError::NoSuchEpoch`]; errors of the disk.
    /// This store is not poisoned by them.
    pub fn save_as(&self, number: u64, folder: &Path, name: &str, words: &str) -> Result<PathBuf, StoreError> {
        let path = Self::savepoint_path(folder, name);
        if path.exists() {
            return Err(StoreError::Exists { path });
        }
        let unfinished = Self::savepoint_path(folder, &format!("{name}{UNFINISHED}"));
        match fs::remove_dir_all(&unfinished) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed("remove", unfinished)(error)),
            _ => {}
        }
        make(&unfinished)?;
        let mut copy = Self::open(&unfinished)?;
        copy.take_over(self, number)?;
        drop(copy);
        let manifest = unfinished.join(MANIFEST);
        let written = File::options().write(true).create_new(true).mode(0o600).open(&manifest).and_then(|mut file| {
            file.write_all(words.as_bytes())?;
            file.sync_all()
        });
        written.map_err(failed("write", &manifest))?;
        sync(&unfinished)?;
        let renamed = fault_point("savepoint.rename").and_then(|()| fs::rename(&unfinished, &path));
        renamed.map_err(failed("rename", &unfinished))?;
        sync(&folder.join(SAVEPOINTS))?;
        Ok(path)
    }

    /// Makes an epoch of another folder the last one of this folder, with whole states. Its number is the next of this
    /// folder.
    ///
    /// # Errors
    /// [`StoreError::NoSuchEpoch`]; errors of reading the other folder, which leave this one as it was; errors of the
    /// disk, which poison this store.
    pub fn take_over(&mut self, from: &Self, number: u64) -> Result<u64, StoreError> {
        let info = from.epochs().iter().find(|info| info.number == number);
        let manifest = info.map(|info| info.manifest.clone()).unwrap_or_default();
        let mut epoch = self.begin(true)?;
        let copied = from.restore(number, |frame, body| {
            // Changes that follow whole states are restored like these.
            let kind = if frame.kind.is_state() { FrameKind::Base } else { frame.kind };
            epoch.put(Frame { kind, ..frame }, body)
        });
        match copied {
            Ok(()) => epoch.whole(&manifest, false),
            Err(RestoreError::Store(error) | RestoreError::Receiver(error)) => Err(error),
        }
    }
}

fn sync(folder: &Path) -> Result<(), StoreError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed("sync", folder))
}
