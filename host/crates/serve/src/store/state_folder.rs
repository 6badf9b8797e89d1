use std::fs::{self, DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::error::{StoreError, failed};

/// Longest wait for the lock of another server, and the pause between two tries.
const PATIENCE: Duration = Duration::from_millis(500);
const PAUSE: Duration = Duration::from_millis(5);

/// The state folder of a server, which belongs to it alone for as long as this value lives.
#[derive(Debug)]
pub struct StateFolder {
    root: PathBuf,
    _lock: File,
}

impl StateFolder {
    /// Makes the folder if there is none, and locks it.
    ///
    /// # Errors
    /// [`StoreError::Locked`] if another server has it; the folder cannot be made, or others may write there.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        make_private(root)?;
        let root = fs::canonicalize(root).map_err(failed("find", root))?;
        let metadata = fs::metadata(&root).map_err(failed("read", &root))?;
        if metadata.permissions().mode() & 0o022 != 0 || metadata.uid() != rustix::process::geteuid().as_raw() {
            let source = std::io::Error::other("others may write there, or it belongs to someone else");
            return Err(StoreError::Io { action: "trust", path: root, source });
        }
        let path = root.join("serve.lock");
        let lock = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let lock = lock.map_err(failed("open", &path))?;
        // A process that a killed server was just starting has its descriptors for a moment, until it runs its program.
        let until = Instant::now() + PATIENCE;
        loop {
            match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => break,
                Err(Errno::WOULDBLOCK) if Instant::now() < until => std::thread::sleep(PAUSE),
                Err(Errno::WOULDBLOCK) => return Err(StoreError::Locked { path: root }),
                Err(error) => return Err(failed("lock", &path)(error.into())),
            }
        }
        let state = Self { root, _lock: lock };
        for folder in [state.jobs(), state.files(), state.incoming(), state.unreadable(), state.tenants()] {
            make_private(&folder)?;
        }
        Ok(state)
    }

    /// The folder itself, with an absolute path.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folders of jobs.
    #[must_use]
    pub fn jobs(&self) -> PathBuf {
        self.root.join("jobs")
    }

    /// The files that came with pipelines.
    #[must_use]
    pub fn files(&self) -> PathBuf {
        self.root.join("components")
    }

    /// Files that are being received.
    #[must_use]
    pub fn incoming(&self) -> PathBuf {
        self.root.join("incoming")
    }

    /// The tokens that open the server.
    #[must_use]
    pub fn tokens(&self) -> PathBuf {
        self.root.join("tokens")
    }

    /// The file with the first token of the administrator.
    #[must_use]
    pub fn admin_token(&self) -> PathBuf {
        self.root.join("admin.token")
    }

    /// The folders of tenants, by their names in host.toml.
    #[must_use]
    pub fn tenants(&self) -> PathBuf {
        self.root.join("tenants")
    }

    /// Makes a folder that only the owner of the server may use, if it does not exist.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn make_private(&self, folder: &Path) -> Result<(), StoreError> {
        make_private(folder)
    }

    /// Folders of jobs of which nothing can be read.
    #[must_use]
    pub fn unreadable(&self) -> PathBuf {
        self.root.join("unreadable")
    }

    /// The folders of tenants' data.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.root.join("data")
    }

    /// The folders of components that were compiled for a tenant.
    #[must_use]
    pub fn caches(&self) -> PathBuf {
        self.root.join("cache")
    }

    /// Lets users of tenants pass to what is theirs. They cannot list these folders, and what is in them is closed to
    /// those who do not own it.
    ///
    /// # Errors
    /// [`StoreError::Closed`] if they may not pass a folder above; a folder cannot be made or changed.
    pub fn let_users_pass(&self) -> Result<(), StoreError> {
        for above in self.root.ancestors().skip(1) {
            let mode = fs::metadata(above).map_err(failed("read", above))?.permissions().mode() & 0o7777;
            if mode & 0o001 == 0 {
                return Err(StoreError::Closed { path: self.root.clone(), closed: above.to_owned(), mode });
            }
        }
        for folder in [self.data(), self.caches()] {
            make_private(&folder)?;
        }
        for folder in [self.root.clone(), self.jobs(), self.incoming(), self.data(), self.caches()] {
            fs::set_permissions(&folder, fs::Permissions::from_mode(0o711)).map_err(failed("open", &folder))?;
        }
        Ok(())
    }

    /// Tries whether the folder takes writes.
    ///
    /// # Errors
    /// It does not.
    pub fn try_write(&self) -> Result<(), StoreError> {
        let path = self.root.join("room.json");
        sage_jobs::write_json(&path, &vec![0u8; 4096])?;
        fs::remove_file(&path).map_err(failed("remove", &path))
    }
}

/// Makes a folder that only its owner may use, if it does not exist.
pub(super) fn make_private(folder: &Path) -> Result<(), StoreError> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed("make", folder))
}

/// Makes the names in a folder durable.
pub(super) fn sync(folder: &Path) -> Result<(), StoreError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed("sync", folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_folder_has_one_server_and_is_private() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a/state");
        let state = StateFolder::open(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        assert!(matches!(StateFolder::open(&path), Err(StoreError::Locked { .. })));
        state.try_write().unwrap();
        drop(state);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
        let open = StateFolder::open(&path).unwrap_err();
        assert!(open.to_string().contains("others may write there"), "{open}");
    }
}
