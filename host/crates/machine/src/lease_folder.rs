use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use rustix::fs::{
    Access, AtFlags, Dir, FileType, Gid, Mode, OFlags, Stat, accessat, fchmod, fchown, fstat, lstat, mkdir, open,
    openat, statat,
};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::cpu_lease::{Hold, Locked};
use super::lease_place::{Beholder, LeasePlace, LeaseScope};
use super::lock_holder::LockHolder;
use super::{CpuLease, CpuSet, Holder, LeaseRequest, ResourceError};

/// The folder in which the sage-hosts of a machine agree on exclusive use of CPUs. Each CPU has a file
/// (`cpu-3.lock`). The holder of a CPU locks its file with flock and writes its own name into it. The kernel
/// frees the lock when the process ends.
///
/// **Scope.** Leases are visible to all processes that use the same folder. The default is
/// `/run/lock/sage-host`, for all users of the machine: root creates it (mode 1777), and other users use it
/// if it exists. If it is missing or unusable, the folder is `/tmp/sage-host-<uid>`; then only hosts of the
/// same user see each other's leases. [`LeaseFolder::place`] reports the folder and how strong a lease in it
/// is. A run in the machine's folder also looks into the users' folders that it can read. A container that
/// does not mount the machine's folder counts as a machine of its own. The folder must be on a local file
/// system: over a network, flock is not the kernel's.
///
/// **Not bounded.** Leases are an agreement between sage-hosts. Other programs run on any CPU, and a user who
/// may write to the folder can hold leases without need. A CPU's file is never removed: if a locked file were
/// removed, a second holder could lock its successor. Files of claims are removed, and [`super::LedgerLock`]
/// explains why that is safe.
///
/// **Entries of other users** are never followed, written to or waited for: a link, a folder, a pipe, a file
/// with two names, or a file that cannot be opened. A CPU whose file is such an entry is not leased.
///
/// **Waiting.** A process that chooses CPUs holds an exclusive lock on the folder itself; a process that only
/// looks holds a shared lock. Both release the lock within microseconds and wait for nothing while they hold
/// it. Waiting for the lock ends with an error after some seconds; the error names the holder, so a stopped
/// process never blocks others for ever. Giving a lease back needs no lock.
///
/// **A replaced folder.** All clones share one open folder. If the folder's name leads elsewhere, no new
/// lease is made in the open folder ([`ResourceError::FolderReplaced`]) until [`super::Mending`] has opened
/// the folder that has the name now.
#[derive(Debug, Clone)]
pub struct LeaseFolder {
    path: PathBuf,
    directory: Arc<RwLock<Arc<OwnedFd>>>,
    scope: LeaseScope,
    /// The reason why the machine's folder is not used, if it was wanted.
    fallback: Option<Arc<str>>,
    /// The group whose members are jobs of a server on this machine, and nobody else.
    group_of_jobs: Option<u32>,
}

/// An entry of another user under a name where a file of ours should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ForeignEntry {
    pub(super) what: &'static str,
    pub(super) user: u32,
}

impl LeaseFolder {
    /// The environment variable that names another folder.
    pub const VARIABLE: &str = "SAGE_HOST_LEASE_FOLDER";
    /// The folder for all users of the machine.
    pub const FOR_ALL: &str = "/run/lock/sage-host";
    /// The folder with the users' own folders, `sage-host-<uid>`, which are used if the machine's folder
    /// cannot be used.
    const FALLBACKS: &str = "/tmp";
    const FALLBACK: &str = "sage-host-";
    /// Mode of a folder of root's and of jobs': files belong to the group too, and only their makers and root remove
    /// them.
    const FOR_JOBS: u32 = 0o3770;
    /// Longest wait for the folder's lock. Choosing takes some microseconds for each CPU; this is a thousand
    /// times more than on the largest machine.
    const TIMEOUT: Duration = Duration::from_secs(5);

    /// Opens the folder that `SAGE_HOST_LEASE_FOLDER` names, or else the machine's folder, or else the
    /// user's.
    ///
    /// # Errors
    /// The errors of [`LeaseFolder::at`].
    pub fn open() -> Result<Self, ResourceError> {
        if let Some(path) = std::env::var_os(Self::VARIABLE).filter(|path| !path.is_empty()) {
            return Self::at(Path::new(&path));
        }
        match Self::for_all() {
            Ok(folder) => Ok(folder),
            Err(error) => {
                let path = Self::fallback();
                let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
                let fallback = Some(format!("{error}{cause}").into());
                Ok(Self { fallback, ..Self::create(&path, 0o700, LeaseScope::User)? })
            }
        }
    }

    /// The folders that [`LeaseFolder::open`] may open, by preference. Nothing is created.
    #[must_use]
    pub fn candidates() -> Vec<PathBuf> {
        match std::env::var_os(Self::VARIABLE).filter(|path| !path.is_empty()) {
            Some(path) => vec![path.into()],
            None => vec![Self::FOR_ALL.into(), Self::fallback()],
        }
    }

    /// The folder of this user alone.
    fn fallback() -> PathBuf {
        Path::new(Self::FALLBACKS).join(format!("{}{}", Self::FALLBACK, geteuid().as_raw()))
    }

    /// Opens the folder at this path. A missing folder is created with mode 0700; its parent must exist. If
    /// the path is that of the machine's folder, the scope is the machine.
    ///
    /// # Errors
    /// [`ResourceError::Folder`] if the folder cannot be created or written. [`ResourceError::UnsafeFolder`]
    /// if it is a symbolic link, is not a folder, or belongs neither to root nor to this user.
    pub fn at(path: &Path) -> Result<Self, ResourceError> {
        if path == Path::new(Self::FOR_ALL) {
            return Self::for_all();
        }
        Self::create(path, 0o700, LeaseScope::Folder)
    }

    fn for_all() -> Result<Self, ResourceError> {
        let path = Path::new(Self::FOR_ALL);
        if geteuid().is_root() {
            Self::create(path, 0o1777, LeaseScope::Machine)
        } else {
            Self::use_existing(path, LeaseScope::Machine)
        }
    }

    /// The folder's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The visibility of the folder's leases, and how strong a lease is.
    ///
    /// # Errors
    /// [`ResourceError::Folder`] if the folder's metadata cannot be read.
    pub fn place(&self) -> Result<LeasePlace, ResourceError> {
        let found = fstat(self.directory()).map_err(|cause| failed(&self.path, cause))?;
        let me = Beholder { user: geteuid().as_raw(), group_of_jobs: self.group_of_jobs };
        Ok(LeasePlace::of(&self.path, self.scope, &found, me, self.fallback.as_deref()))
    }

    /// The same folder for a process that knows the group of a server's jobs: its members are trusted with the ledger,
    /// as the server is.
    #[must_use]
    pub fn with_group_of_jobs(self, group: u32) -> Self {
        Self { group_of_jobs: Some(group), ..self }
    }

    /// Opens the folder to the members of the group of jobs, if only root may use it so far. Returns whether they need
    /// to be members. Files that are there already are opened to them too.
    ///
    /// # Errors
    /// [`ResourceError::Folder`] if its owner or mode cannot be changed.
    pub fn open_to_jobs(&self) -> Result<bool, ResourceError> {
        let Some(group) = self.group_of_jobs else { return Ok(false) };
        let found = fstat(self.directory()).map_err(|cause| failed(&self.path, cause))?;
        if self.scope == LeaseScope::Machine || found.st_mode & Mode::WOTH.bits() != 0 {
            return Ok(false);
        }
        let mode = Mode::from_raw_mode(Self::FOR_JOBS);
        if found.st_gid == group && found.st_mode & 0o7777 == mode.bits() {
            return Ok(true);
        }
        let group = Some(Gid::from_raw(group));
        let _alone = self.choosing_within(Hold::Alone, Self::TIMEOUT)?;
        for name in self.names()? {
            let Some(file) = self.foreign(&name) else { continue };
            let open = |cause| self.failed(&name, cause);
            fchown(&file, None, group).map_err(open)?;
            fchmod(&file, Mode::from_raw_mode(0o660)).map_err(open)?;
        }
        fchown(self.directory(), None, group).map_err(|cause| failed(&self.path, cause))?;
        fchmod(self.directory(), mode).map_err(|cause| failed(&self.path, cause))?;
        Ok(true)
    }

    /// Leases `count` of the `allowed` CPUs, all or none. The highest numbers are leased first, so that CPU
    /// 0, which kernels often use for their own work, is leased last. At least `keep_free` of the allowed
    /// CPUs stay unleased.
    ///
    /// # Errors
    /// [`ResourceError::Refused`] if fewer CPUs are free; the error lists the holders of the others. Also the
    /// folder's errors.
    pub fn lease(
        &self,
        count: u32,
        allowed: &CpuSet,
        keep_free: u32,
        holder: Holder,
    ) -> Result<Vec<CpuLease>, ResourceError> {
        let mut leases = self.lease_all(&[LeaseRequest { count, holder }], allowed, keep_free)?;
        Ok(leases.pop().unwrap_or_default())
    }

    /// Like [`LeaseFolder::lease`], for several instances at once: all instances get their CPUs, or none gets
    /// any. The requests of two processes are served one after the other.
    ///
    /// # Errors
    /// The errors of [`LeaseFolder::lease`].
    pub fn lease_all(
        &self,
        requests: &[LeaseRequest],
        allowed: &CpuSet,
        keep_free: u32,
    ) -> Result<Vec<Vec<CpuLease>>, ResourceError> {
        self.choose()?.lease_all(requests, allowed, keep_free)
    }

    pub(super) fn create(path: &Path, mode: u32, scope: LeaseScope) -> Result<Self, ResourceError> {
        match mkdir(path, Mode::from_raw_mode(mode)) {
            Ok(()) => {
                let folder = Self::checked_folder(path, scope)?;
                // The process's umask may have removed bits. The mode is set before the first file is made,
                // because a file's mode follows the folder's.
                fchmod(folder.directory(), Mode::from_raw_mode(mode)).map_err(|cause| failed(path, cause))?;
                folder.found_writable()
            }
            Err(Errno::EXIST) => Self::use_existing(path, scope),
            Err(cause) => Err(failed(path, cause)),
        }
    }

    fn use_existing(path: &Path, scope: LeaseScope) -> Result<Self, ResourceError> {
        Self::checked_folder(path, scope)?.found_writable()
    }

    fn checked_folder(path: &Path, scope: LeaseScope) -> Result<Self, ResourceError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = open(path, flags, Mode::empty()).map_err(|cause| match cause {
            Errno::LOOP | Errno::NOTDIR => unsafe_folder(path, "it is a symbolic link or not a folder"),
            cause => failed(path, cause),
        })?;
        let stat = fstat(&directory).map_err(|cause| failed(path, cause))?;
        if stat.st_uid != 0 && stat.st_uid != geteuid().as_raw() {
            return Err(unsafe_folder(path, "it belongs to another user"));
        }
        let directory = Arc::new(RwLock::new(Arc::new(directory)));
        Ok(Self { path: path.to_owned(), directory, scope, fallback: None, group_of_jobs: None })
    }

    /// Fails early if this process cannot make files in the folder, since it could not lease either.
    fn found_writable(self) -> Result<Self, ResourceError> {
        let access = Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK;
        accessat(self.directory(), ".", access, AtFlags::EACCESS).map_err(|cause| failed(&self.path, cause))?;
        Ok(self)
    }

    pub(super) fn ledger_lock(&self, how: Hold) -> Result<Locked, ResourceError> {
        self.choosing_within(how, Self::TIMEOUT)
    }

    /// Locks the folder itself. Another user cannot replace this lock, as they could replace a file in the
    /// folder.
    pub(super) fn choosing_within(&self, how: Hold, timeout: Duration) -> Result<Locked, ResourceError> {
        let started = Instant::now();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        // The folder is opened again because a lock belongs to an open file, and all threads of this process
        // would share it.
        let own = openat(self.directory(), ".", flags, Mode::empty()).map_err(|cause| failed(&self.path, cause))?;
        let mut own = own;
        loop {
            own = match Locked::now(own, how).map_err(|cause| failed(&self.path, cause))? {
                Ok(lock) if self.is_there() => return Ok(lock),
                Ok(_) => return Err(ResourceError::FolderReplaced { path: self.path.clone() }),
                Err(own) if started.elapsed() > timeout => {
                    let holder = LockHolder::of(&own);
                    return Err(ResourceError::FolderBusy { path: self.path.clone(), timeout, holder });
                }
                Err(again) => again,
            };
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// True if the folder's name still leads to the open folder.
    pub(super) fn is_there(&self) -> bool {
        let (Ok(open), Ok(named)) = (fstat(self.directory()), lstat(&self.path)) else { return false };
        (open.st_dev, open.st_ino) == (named.st_dev, named.st_ino)
    }

    /// Opens the folder that has the name now, for all clones. A missing folder is created.
    pub(super) fn reopen(&self) -> Result<(), ResourceError> {
        let now = match self.scope {
            LeaseScope::Machine => Self::for_all()?,
            LeaseScope::User | LeaseScope::Folder => Self::create(&self.path, 0o700, self.scope)?,
        };
        *self.directory.write().unwrap_or_else(PoisonError::into_inner) = now.directory();
        Ok(())
    }

    /// The users' own folders, in which there may be leases that are not in this folder, for example of a
    /// user who started before the machine's folder existed. Only folders that this process can read.
    pub(super) fn fallbacks(&self) -> Vec<Self> {
        if self.scope != LeaseScope::Machine {
            return Vec::new();
        }
        let me = geteuid();
        let folders = std::fs::read_dir(Self::FALLBACKS).into_iter().flatten().flatten();
        folders
            .filter_map(|entry| {
                let user: u32 = entry.file_name().to_str()?.strip_prefix(Self::FALLBACK)?.parse().ok()?;
                if !me.is_root() && me.as_raw() != user {
                    return None;
                }
                let path = entry.path();
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let directory = open(&path, flags, Mode::empty()).ok()?;
                let stat = fstat(&directory).ok()?;
                (stat.st_uid == user && !others_may_write(&stat)).then(|| Self {
                    path,
                    directory: Arc::new(RwLock::new(Arc::new(directory))),
                    scope: LeaseScope::User,
                    fallback: None,
                    group_of_jobs: None,
                })
            })
            .collect()
    }

    /// The names of the folder's entries.
    pub(super) fn names(&self) -> Result<Vec<String>, ResourceError> {
        let entries = Dir::read_from(self.directory()).map_err(|cause| failed(&self.path, cause))?;
        let names = entries.filter_map(|entry| entry.ok()?.file_name().to_str().ok().map(str::to_owned));
        Ok(names.collect())
    }

    /// Opens a file of the folder; `None` if it does not exist and is not to be created.
    ///
    /// The function tries to open before it creates: in a folder where every user may create files, Linux
    /// refuses to "create" a file that another user has already made (fs.protected_regular).
    pub(super) fn file(&self, name: &str, create: bool) -> Result<Option<OwnedFd>, ResourceError> {
        let directory = self.directory();
        // Non-blocking, because another user could have put a pipe here.
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        for _ in 0..3 {
            match openat(&directory, name, flags, Mode::empty()) {
                Ok(file) => return self.checked(name, file).map(Some),
                Err(Errno::NOENT) if !create => return Ok(None),
                Err(Errno::NOENT) => {}
                Err(Errno::LOOP) => return Err(unsafe_folder(&self.path.join(name), "it is a symbolic link")),
                Err(cause) => return Err(self.failed(name, cause)),
            }
            // In a folder for all users, every user must be able to write its name into the CPU's file. The
            // machine's folder counts as one even before its creator has set its mode.
            let mode = Mode::from_raw_mode(if self.is_for_all()? { 0o666 } else { 0o600 });
            match openat(&directory, name, flags | OFlags::CREATE | OFlags::EXCL, mode) {
                Ok(file) => {
                    fchmod(&file, mode).map_err(|cause| self.failed(name, cause))?;
                    return Ok(Some(file));
                }
                Err(Errno::EXIST) => {}
                Err(cause) => return Err(self.failed(name, cause)),
            }
        }
        Err(self.failed(name, Errno::EXIST))
    }

    /// The entry under a name for which no file of ours could be opened; `None` if there is no entry.
    pub(super) fn entry(&self, name: &str) -> Option<ForeignEntry> {
        let found = statat(self.directory(), name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        let what = match FileType::from_raw_mode(found.st_mode) {
            FileType::Directory => "a folder",
            FileType::Symlink => "a symbolic link",
            FileType::Fifo => "a pipe",
            FileType::Socket => "a socket",
            FileType::RegularFile if found.st_nlink != 1 => "a file with several names",
            FileType::RegularFile => "a file that cannot be opened",
            _ => "a device",
        };
        Some(ForeignEntry { what, user: found.st_uid })
    }

    /// True if other users take leases here too.
    pub(super) fn is_for_all(&self) -> Result<bool, ResourceError> {
        let stat = fstat(self.directory()).map_err(|cause| failed(&self.path, cause))?;
        Ok(self.scope == LeaseScope::Machine || others_may_write(&stat))
    }

    pub(super) fn directory(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.directory.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Checks that a lock file is not a second name of another file, because lock files are written to.
    fn checked(&self, name: &str, file: OwnedFd) -> Result<OwnedFd, ResourceError> {
        let stat = fstat(&file).map_err(|cause| self.failed(name, cause))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile || stat.st_nlink != 1 {
            return Err(unsafe_folder(&self.path.join(name), "it is not a regular file with one name"));
        }
        Ok(file)
    }

    pub(super) fn failed(&self, name: &str, cause: Errno) -> ResourceError {
        failed(&self.path.join(name), cause)
    }
}

fn failed(path: &Path, cause: Errno) -> ResourceError {
    ResourceError::Folder { path: path.to_owned(), cause: cause.into() }
}

fn unsafe_folder(path: &Path, why: &'static str) -> ResourceError {
    ResourceError::UnsafeFolder { path: path.to_owned(), why }
}

fn others_may_write(stat: &Stat) -> bool {
    stat.st_mode & (Mode::WGRP | Mode::WOTH).bits() != 0
}
