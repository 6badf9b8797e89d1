use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::fs::{FileType, Mode, OFlags, Stat, fchmod, fstat, ftruncate, mkdir, open, openat};
use rustix::io::{Errno, pread, pwrite};
use rustix::process::geteuid;
use serde::Serialize;

use super::cpu_lease::{Hold, Locked};
use super::{CpuLease, CpuSet, HeldCpu, Holder, LeaseRefused, LeaseRequest, ResourceError};

/// Where the sage-hosts of a machine agree on who has which CPU to itself: a file for each CPU (`cpu-3.lock`), locked with
/// flock by its holder, who also writes into it who it is. The kernel frees the lock of a process that dies.
///
/// **What is shared.** Everybody who uses the same folder. By default that is `/run/lock/sage-host`, for all users of the
/// machine: root creates it (mode 1777), others use it where it is. Where it is not, or cannot be used, it is
/// `/tmp/sage-host-<uid>`: then only hosts of the same user see each other's leases ([`LeaseFolder::scope`] says which). A
/// container that does not mount the machine's folder is a machine of its own in this. The folder must be local:
/// flock over a network is not the kernel's.
///
/// **What it does not bound.** Leases are an agreement between sage-hosts: other programs run where they like, and whoever
/// may write to the folder can hold leases for nothing. A CPU's file is never removed, since removing a locked file would
/// let a second holder lock its successor; files of claims are, and [`super::Choosing`] says why they may be.
///
/// **Who waits for whom.** Whoever chooses CPUs holds `choosing.lock` alone, whoever only looks holds it together with others;
/// both let go within microseconds and wait for nothing meanwhile. Waiting for it ends with an error after
/// some seconds, so a stopped process blocks nobody for ever. Giving a lease back needs no lock.
#[derive(Debug, Clone)]
pub struct LeaseFolder {
    path: PathBuf,
    directory: Arc<OwnedFd>,
    scope: LeaseScope,
}

/// Who sees the leases of a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LeaseScope {
    /// All users of the machine.
    Machine,
    /// Only processes of this user.
    User,
    /// Whoever was told to use the same folder.
    Given,
}

impl LeaseFolder {
    /// The environment variable that names another folder.
    pub const VARIABLE: &str = "SAGE_HOST_LEASE_FOLDER";
    const FOR_ALL: &str = "/run/lock/sage-host";
    const CHOOSING: &str = "choosing.lock";
    /// Choosing takes some microseconds a CPU; this is a thousand times more than on the largest machine.
    const PATIENCE: Duration = Duration::from_secs(5);

    /// The folder that `SAGE_HOST_LEASE_FOLDER` names, or else the machine's, or else the user's.
    ///
    /// # Errors
    /// As [`LeaseFolder::at`].
    pub fn open() -> Result<Self, ResourceError> {
        if let Some(path) = std::env::var_os(Self::VARIABLE).filter(|path| !path.is_empty()) {
            return Self::at(Path::new(&path));
        }
        let user = geteuid();
        let for_all = if user.is_root() {
            Self::create(Path::new(Self::FOR_ALL), 0o1777, LeaseScope::Machine)
        } else {
            Self::use_existing(Path::new(Self::FOR_ALL), LeaseScope::Machine)
        };
        match for_all {
            Ok(folder) => Ok(folder),
            Err(_) => {
                let path = format!("/tmp/sage-host-{}", user.as_raw());
                Self::create(Path::new(&path), 0o700, LeaseScope::User)
            }
        }
    }

    /// The folder at this path, which is created (mode 0755) if it is not there; the folder above it must be.
    ///
    /// # Errors
    /// [`ResourceError::Folder`] when it cannot be created or written; [`ResourceError::UnsafeFolder`] when it is a symbolic
    /// link or not a folder, when neither root nor we own it, or when others may replace its files.
    pub fn at(path: &Path) -> Result<Self, ResourceError> {
        Self::create(path, 0o755, LeaseScope::Given)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Who sees its leases.
    #[must_use]
    pub fn scope(&self) -> LeaseScope {
        self.scope
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

    /// As [`LeaseFolder::lease_all`]; needs `choosing.lock` held alone.
    pub(super) fn lease_now(
        &self,
        requests: &[LeaseRequest],
        allowed: &CpuSet,
        keep_free: u32,
    ) -> Result<Vec<Vec<CpuLease>>, ResourceError> {
        let mut free = Vec::new();
        let mut held = Vec::new();
        for cpu in allowed.iter().rev() {
            let name = file_name(cpu);
            let Some(file) = self.file(&name, true)? else { continue };
            match Locked::now(file, Hold::Alone).map_err(|cause| self.failed(&name, cause))? {
                Ok(lock) => free.push((cpu, lock)),
                Err(file) => held.push(HeldCpu { cpu, holder: read_holder(&file) }),
            }
        }
        let wanted = requests.iter().fold(0_u32, |sum, request| sum.saturating_add(request.count));
        let available = u32::try_from(free.len()).unwrap_or(u32::MAX).saturating_sub(keep_free);
        if wanted > available {
            held.reverse();
            return Err(LeaseRefused { wanted, free: available, held, reserved: keep_free }.into());
        }
        let mut free = free.into_iter();
        let mut leases = Vec::with_capacity(requests.len());
        for request in requests {
            let mut taken = Vec::new();
            for (cpu, lock) in free.by_ref().take(usize::try_from(request.count).unwrap_or(usize::MAX)) {
                write_holder(lock.file(), &request.holder).map_err(|cause| self.failed(&file_name(cpu), cause))?;
                taken.push(CpuLease { cpu, _lock: lock });
            }
            leases.push(taken);
        }
        Ok(leases)
    }

    /// The CPUs that anybody (we too) holds at this moment, by number.
    ///
    /// # Errors
    /// The folder's errors.
    pub fn held_by_anyone(&self) -> Result<Vec<HeldCpu>, ResourceError> {
        let _looking = self.choosing(Hold::Together)?;
        self.held_cpus()
    }

    /// As [`LeaseFolder::held_by_anyone`]; needs `choosing.lock`.
    pub(super) fn held_cpus(&self) -> Result<Vec<HeldCpu>, ResourceError> {
        let entries =
            fs::read_dir(&self.path).map_err(|cause| ResourceError::Folder { path: self.path.clone(), cause })?;
        let mut held = Vec::new();
        for cpu in entries.filter_map(|entry| cpu_of(entry.ok()?.file_name().to_str()?)) {
            let name = file_name(cpu);
            let Some(file) = self.file(&name, false)? else { continue };
            // Locked together, so that two who look do not take each other for a holder.
            match Locked::now(file, Hold::Together).map_err(|cause| self.failed(&name, cause))? {
                Ok(_free) => {}
                Err(file) => held.push(HeldCpu { cpu, holder: read_holder(&file) }),
            }
        }
        held.sort_by_key(|held| held.cpu);
        Ok(held)
    }

    pub(super) fn create(path: &Path, mode: u32, scope: LeaseScope) -> Result<Self, ResourceError> {
        match mkdir(path, Mode::from_raw_mode(mode)) {
            Ok(()) => {
                let folder = Self::checked_folder(path, scope)?;
                // The process's umask may have taken bits away. Before the first file, whose mode follows the folder's.
                fchmod(&folder.directory, Mode::from_raw_mode(mode)).map_err(|cause| failed(path, cause))?;
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
        if others_may_write(&stat) && stat.st_mode & Mode::SVTX.bits() == 0 {
            return Err(unsafe_folder(path, "others may replace its files (no sticky bit)"));
        }
        Ok(Self { path: path.to_owned(), directory: Arc::new(directory), scope })
    }

    /// Whoever cannot open this file could not lease either: better known now.
    fn found_writable(self) -> Result<Self, ResourceError> {
        self.file(Self::CHOOSING, true)?;
        Ok(self)
    }

    pub(super) fn choosing(&self, how: Hold) -> Result<Locked, ResourceError> {
        self.choosing_within(how, Self::PATIENCE)
    }

    pub(super) fn choosing_within(&self, how: Hold, patience: Duration) -> Result<Locked, ResourceError> {
        let started = Instant::now();
        let busy = || ResourceError::FolderBusy { path: self.path.join(Self::CHOOSING), patience };
        let mut file = self.file(Self::CHOOSING, true)?.ok_or_else(busy)?;
        loop {
            match Locked::now(file, how).map_err(|cause| self.failed(Self::CHOOSING, cause))? {
                Ok(lock) => return Ok(lock),
                Err(_) if started.elapsed() > patience => return Err(busy()),
                Err(again) => file = again,
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Opens a file of the folder; `None` when it is not there and is not to be created.
    ///
    /// Opened first and created only then: where anybody may create files, Linux refuses to "create" a file that
    /// another user already made (fs.protected_regular).
    pub(super) fn file(&self, name: &str, create: bool) -> Result<Option<OwnedFd>, ResourceError> {
        // Not blocking: somebody could have put a pipe here.
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        for _ in 0..3 {
            match openat(&self.directory, name, flags, Mode::empty()) {
                Ok(file) => return self.checked(name, file).map(Some),
                Err(Errno::NOENT) if !create => return Ok(None),
                Err(Errno::NOENT) => {}
                Err(Errno::LOOP) => return Err(unsafe_folder(&self.path.join(name), "it is a symbolic link")),
                Err(cause) => return Err(self.failed(name, cause)),
            }
            // In a folder for all, everybody must be able to write down that it holds the CPU. The machine's folder is one
            // even while whoever makes it has not opened it to all yet.
            let mode = Mode::from_raw_mode(if self.is_for_all()? { 0o666 } else { 0o600 });
            match openat(&self.directory, name, flags | OFlags::CREATE | OFlags::EXCL, mode) {
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

    /// Whether other users take leases here too.
    pub(super) fn is_for_all(&self) -> Result<bool, ResourceError> {
        let stat = fstat(&self.directory).map_err(|cause| failed(&self.path, cause))?;
        Ok(self.scope == LeaseScope::Machine || others_may_write(&stat))
    }

    pub(super) fn directory(&self) -> &OwnedFd {
        &self.directory
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

fn file_name(cpu: u32) -> String {
    format!("cpu-{cpu}.lock")
}

fn cpu_of(file_name: &str) -> Option<u32> {
    file_name.strip_prefix("cpu-")?.strip_suffix(".lock")?.parse().ok()
}

fn write_holder(file: &OwnedFd, holder: &Holder) -> Result<(), Errno> {
    let text = serde_json::to_vec(holder).map_err(|_| Errno::INVAL)?;
    ftruncate(file, 0)?;
    match pwrite(file, &text, 0)? {
        written if written == text.len() => Ok(()),
        _ => Err(Errno::IO),
    }
}

/// What a holder wrote; whatever cannot be read is nobody's name, since any user may have written it.
fn read_holder(file: &OwnedFd) -> Option<Holder> {
    let mut text = [0; 4096];
    let length = pread(file, &mut text, 0).ok()?;
    serde_json::from_slice(text.get(..length)?).ok()
}
