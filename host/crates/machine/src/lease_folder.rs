use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use rustix::fs::{
    Access, AtFlags, Dir, FileType, Mode, OFlags, Stat, accessat, fchmod, fstat, lstat, mkdir, open, openat, statat,
};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::cpu_lease::{Hold, Locked};
use super::lease_place::{LeasePlace, LeaseScope};
use super::lock_holder::LockHolder;
use super::{CpuLease, CpuSet, Holder, LeaseRequest, ResourceError};

/// Where the sage-hosts of a machine agree on who has which CPU to itself: a file for each CPU (`cpu-3.lock`), locked with
/// flock by its holder, who also writes into it who it is. The kernel frees the lock of a process that dies.
///
/// **What is shared.** Everybody who uses the same folder. By default that is `/run/lock/sage-host`, for all users of the
/// machine: root creates it (mode 1777), others use it where it is. Where it is not, or cannot be used, it is
/// `/tmp/sage-host-<uid>`: then only hosts of the same user see each other's leases. [`LeaseFolder::place`] says which, and how hard a lease
/// there is; whoever uses the machine's folder looks into those that it can read of the others too. A container that does not mount the
/// machine's folder is a machine of its own in this. The folder must be local: flock over a network is not the kernel's.
///
/// **What it does not bound.** Leases are an agreement between sage-hosts: other programs run where they like, and whoever
/// may write to the folder can hold leases for nothing. A CPU's file is never removed, since removing a locked file would
/// let a second holder lock its successor; files of claims are, and [`super::LedgerLock`] says why they may be.
///
/// **What others put there** is never followed, written to or waited for: a link, a folder, a pipe, a file with two names or one that cannot be
/// opened. A CPU whose file is such a thing is leased to nobody.
///
/// **Who waits for whom.** Whoever chooses CPUs holds the folder itself locked, alone; whoever only looks holds it together with others;
/// both let go within microseconds and wait for nothing meanwhile. Waiting for it ends with an error after
/// some seconds, with who holds it, so a stopped process blocks nobody for ever. Giving a lease back needs no lock.
///
/// **A folder that is replaced.** All clones share one open folder. Once its name leads elsewhere, nothing is taken in it any more
/// ([`ResourceError::FolderReplaced`]), until [`super::Mending`] has opened what is there now.
#[derive(Debug, Clone)]
pub struct LeaseFolder {
    path: PathBuf,
    directory: Arc<RwLock<Arc<OwnedFd>>>,
    scope: LeaseScope,
    /// Why it is not the machine's, where that was wanted.
    fallback: Option<Arc<str>>,
}

/// What somebody put under a name where we wanted a file of ours.
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
    /// Where users have folders of their own, `sage-host-<uid>`, if that cannot be used.
    const FALLBACKS: &str = "/tmp";
    const FALLBACK: &str = "sage-host-";
    /// LedgerLock takes some microseconds a CPU; this is a thousand times more than on the largest machine.
    const PATIENCE: Duration = Duration::from_secs(5);

    /// The folder that `SAGE_HOST_LEASE_FOLDER` names, or else the machine's, or else the user's.
    ///
    /// # Errors
    /// As [`LeaseFolder::at`].
    pub fn open() -> Result<Self, ResourceError> {
        if let Some(path) = std::env::var_os(Self::VARIABLE).filter(|path| !path.is_empty()) {
            return Self::at(Path::new(&path));
        }
        match Self::for_all() {
            Ok(folder) => Ok(folder),
            Err(error) => {
                let path = Path::new(Self::FALLBACKS).join(format!("{}{}", Self::FALLBACK, geteuid().as_raw()));
                let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
                let fallback = Some(format!("{error}{cause}").into());
                Ok(Self { fallback, ..Self::create(&path, 0o700, LeaseScope::User)? })
            }
        }
    }

    /// The folder at this path, which is created (mode 0700) if it is not there; the folder above it must be. The machine's folder is the
    /// machine's also where it is named.
    ///
    /// # Errors
    /// [`ResourceError::Folder`] when it cannot be created or written; [`ResourceError::UnsafeFolder`] when it is a symbolic
    /// link or not a folder, when neither root nor we own it, or when others may replace its files.
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

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Who sees its leases, and how hard one is.
    ///
    /// # Errors
    /// When the folder cannot be looked at.
    pub fn place(&self) -> Result<LeasePlace, ResourceError> {
        let found = fstat(self.directory()).map_err(|cause| failed(&self.path, cause))?;
        Ok(LeasePlace::of(&self.path, self.scope, &found, geteuid().as_raw(), self.fallback.as_deref()))
    }

    /// Leases `count` of the `allowed` CPUs, the highest numbers first, so that CPU 0, where kernels like to do their own
    /// work, goes last. At least `keep_free` of the allowed CPUs stay unleased.
    ///
    /// # Errors
    /// [`ResourceError::Refused`] when there are not as many, with who holds the others; the folder's errors. All or nothing.
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

    /// As [`LeaseFolder::lease`], for several instances at once: all of them get what they ask for, or none anything. Two
    /// processes that ask at once are served one after the other.
    ///
    /// # Errors
    /// As [`LeaseFolder::lease`].
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
                // The process's umask may have taken bits away. Before the first file, whose mode follows the folder's.
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
        Ok(Self { path: path.to_owned(), directory, scope, fallback: None })
    }

    /// Whoever cannot make files here could not lease either: better known now.
    fn found_writable(self) -> Result<Self, ResourceError> {
        let access = Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK;
        accessat(self.directory(), ".", access, AtFlags::EACCESS).map_err(|cause| failed(&self.path, cause))?;
        Ok(self)
    }

    pub(super) fn choosing(&self, how: Hold) -> Result<Locked, ResourceError> {
        self.choosing_within(how, Self::PATIENCE)
    }

    /// Locks the folder itself: no other user can put anything in the place of that lock, as they could of a file in it.
    pub(super) fn choosing_within(&self, how: Hold, timeout: Duration) -> Result<Locked, ResourceError> {
        let started = Instant::now();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        // Opened anew: a lock belongs to an open file, which all threads of this process would share.
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

    /// Whether the folder's name still leads to the folder that is open.
    pub(super) fn is_there(&self) -> bool {
        let (Ok(open), Ok(named)) = (fstat(self.directory()), lstat(&self.path)) else { return false };
        (open.st_dev, open.st_ino) == (named.st_dev, named.st_ino)
    }

    /// Opens what the folder's name leads to now, which is made if nothing is there, for all clones.
    pub(super) fn reopen(&self) -> Result<(), ResourceError> {
        let now = match self.scope {
            LeaseScope::Machine => Self::for_all()?,
            LeaseScope::User | LeaseScope::Folder => Self::create(&self.path, 0o700, self.scope)?,
        };
        *self.directory.write().unwrap_or_else(PoisonError::into_inner) = now.directory();
        Ok(())
    }

    /// Folders of single users in which there may be leases that this one does not know of: a user's who came before the machine's
    /// folder was there, say. Those that this process can read.
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
                })
            })
            .collect()
    }

    /// The names in the folder.
    pub(super) fn names(&self) -> Result<Vec<String>, ResourceError> {
        let entries = Dir::read_from(self.directory()).map_err(|cause| failed(&self.path, cause))?;
        let names = entries.filter_map(|entry| entry.ok()?.file_name().to_str().ok().map(str::to_owned));
        Ok(names.collect())
    }

    /// Opens a file of the folder; `None` when it is not there and is not to be created.
    ///
    /// Opened first and created only then: where anybody may create files, Linux refuses to "create" a file that
    /// another user already made (fs.protected_regular).
    pub(super) fn file(&self, name: &str, create: bool) -> Result<Option<OwnedFd>, ResourceError> {
        let directory = self.directory();
        // Not blocking: somebody could have put a pipe here.
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        for _ in 0..3 {
            match openat(&directory, name, flags, Mode::empty()) {
                Ok(file) => return self.checked(name, file).map(Some),
                Err(Errno::NOENT) if !create => return Ok(None),
                Err(Errno::NOENT) => {}
                Err(Errno::LOOP) => return Err(unsafe_folder(&self.path.join(name), "it is a symbolic link")),
                Err(cause) => return Err(self.failed(name, cause)),
            }
            // In a folder for all, everybody must be able to write down that it holds the CPU. The machine's folder is one
            // even while whoever makes it has not opened it to all yet.
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

    /// What there is under a name for which no file of ours could be opened; `None` where there is nothing.
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

    /// Whether other users take leases here too.
    pub(super) fn is_for_all(&self) -> Result<bool, ResourceError> {
        let stat = fstat(self.directory()).map_err(|cause| failed(&self.path, cause))?;
        Ok(self.scope == LeaseScope::Machine || others_may_write(&stat))
    }

    pub(super) fn directory(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.directory.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// A lock file is written to: it must not be a second name of some other file.
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
