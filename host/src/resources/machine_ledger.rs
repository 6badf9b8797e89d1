use std::fs;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, fchmod, fstat, ftruncate, openat, statat, unlinkat};
use rustix::io::{Errno, pread, pwrite};
use rustix::process::geteuid;

use super::cpu_lease::{Hold, Locked};
use super::{Claim, CpuLease, CpuSet, LeaseFolder, LeaseRequest, ResourceError, Taken};

/// The machine's ledger, held by one process alone while it looks, decides and takes: what it sees stays true until this is
/// dropped. Two processes that ask at once are served one after the other.
///
/// Each running pipeline has a file `run-<pid>-<n>.lock` beside the CPUs' files, locked by its process and holding a [`Claim`].
/// The kernel frees the lock of a process that dies, and with the lock its claim counts no more; the file itself
/// is removed by whoever claims next.
///
/// **Why these files may be removed.** A locked file that loses its name could get a successor with a second holder. Here
/// nobody makes, locks or removes one without holding `choosing.lock` alone, and whoever removes one holds its lock and has
/// seen that the name still leads to that very file.
///
/// **Who waits for whom.** For `choosing.lock`, as [`LeaseFolder`] says; the locks of claims are only tried. Do not drop a
/// [`HeldClaim`] while holding this: that waits for it in vain and leaves the file to the next.
#[derive(Debug)]
pub struct Choosing<'f> {
    folder: &'f LeaseFolder,
    _alone: Locked,
}

/// What a pipeline that runs here claims; given back on drop, or with the process. While control groups are written down in it, its
/// file outlives it, so that whoever claims next gets to know of them: whoever removed them says so with
/// [`HeldClaim::set_cgroups`] first.
#[derive(Debug)]
#[must_use = "what is claimed is free again as soon as this is dropped"]
pub struct HeldClaim {
    folder: LeaseFolder,
    name: String,
    lock: Locked,
    claim: Mutex<Claim>,
    left_over: Vec<String>,
}

/// A claim's file that nobody holds any more, locked so that nobody does while it is swept.
struct Dead {
    name: String,
    lock: Locked,
    cgroups: Vec<String>,
}

const PREFIX: &str = "run-";
const SUFFIX: &str = ".lock";
/// What a file may hold: some thousand control groups. What is longer was not written by us.
const LONGEST: u64 = 1 << 20;

impl LeaseFolder {
    /// Holds the ledger alone.
    ///
    /// # Errors
    /// The folder's errors; [`ResourceError::FolderBusy`] when somebody else does not let go of it.
    pub fn choose(&self) -> Result<Choosing<'_>, ResourceError> {
        Ok(Choosing { folder: self, _alone: self.choosing(Hold::Alone)? })
    }

    /// What is held at this moment.
    ///
    /// # Errors
    /// The folder's errors.
    pub fn taken(&self) -> Result<Taken, ResourceError> {
        let _looking = self.choosing(Hold::Together)?;
        Ok(Taken { cpus: self.held_cpus()?, claims: self.claims(None)? })
    }

    /// Claims of running pipelines; those of dead ones go to `dead`, locked, if it is given.
    fn claims(&self, mut dead: Option<&mut Vec<Dead>>) -> Result<Vec<Claim>, ResourceError> {
        let entries =
            fs::read_dir(self.path()).map_err(|cause| ResourceError::Folder { path: self.path().to_owned(), cause })?;
        let mut claims = Vec::new();
        for name in entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()) {
            if !(name.starts_with(PREFIX) && name.ends_with(SUFFIX)) {
                continue;
            }
            // Whatever is no file of ours holds nothing: another user may have put it here.
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
            let Ok(file) = openat(self.directory(), name.as_str(), flags, Mode::empty()) else { continue };
            if !self.is_named(&name, &file) {
                continue;
            }
            let how = if dead.is_some() { Hold::Alone } else { Hold::Together };
            match (Locked::now(file, how).map_err(|cause| self.failed(&name, cause))?, &mut dead) {
                (Err(file), _) => claims.extend(read_claim(&file)),
                (Ok(lock), Some(dead)) => {
                    let cgroups = if is_ours(lock.file()) { read_claim(lock.file()) } else { None };
                    dead.push(Dead { name, lock, cgroups: cgroups.map(|claim| claim.cgroups).unwrap_or_default() });
                }
                (Ok(_nobodys), None) => {}
            }
        }
        claims.sort_by(|a, b| (a.pid, &a.pipeline).cmp(&(b.pid, &b.pipeline)));
        Ok(claims)
    }

    /// Whether the name leads to this regular file, and nothing else does.
    fn is_named(&self, name: &str, file: &OwnedFd) -> bool {
        let (Ok(open), Ok(named)) = (fstat(file), statat(self.directory(), name, AtFlags::SYMLINK_NOFOLLOW)) else {
            return false;
        };
        FileType::from_raw_mode(open.st_mode) == FileType::RegularFile
            && open.st_nlink == 1
            && (open.st_dev, open.st_ino) == (named.st_dev, named.st_ino)
    }

    /// Takes the name from a file that we hold locked. Needs `choosing.lock` held alone.
    fn remove(&self, name: &str, lock: &Locked) -> Result<(), Errno> {
        if self.is_named(name, lock.file()) {
            return unlinkat(self.directory(), name, AtFlags::empty());
        }
        Ok(())
    }
}

impl Choosing<'_> {
    /// What is held, until this is dropped.
    ///
    /// # Errors
    /// The folder's errors.
    pub fn taken(&self) -> Result<Taken, ResourceError> {
        Ok(Taken { cpus: self.folder.held_cpus()?, claims: self.folder.claims(None)? })
    }

    /// Leases CPUs, as [`LeaseFolder::lease_all`].
    ///
    /// # Errors
    /// As there.
    pub fn lease_all(
        &self,
        requests: &[LeaseRequest],
        allowed: &CpuSet,
        keep_free: u32,
    ) -> Result<Vec<Vec<CpuLease>>, ResourceError> {
        self.folder.lease_now(requests, allowed, keep_free)
    }

    /// Writes a claim down, and sweeps the files of processes that died. Their control groups become this claim's
    /// ([`HeldClaim::left_over`]) before their files are removed, so that they stay known whatever happens to us. Only
    /// groups that a process of this user wrote down: nobody gets another user to remove groups for it.
    ///
    /// # Errors
    /// The folder's errors; nothing is claimed then.
    pub fn claim(&self, claim: Claim) -> Result<HeldClaim, ResourceError> {
        let folder = self.folder;
        let mut dead = Vec::new();
        folder.claims(Some(&mut dead))?;
        let mut left_over: Vec<String> = dead.iter().flat_map(|dead| dead.cgroups.iter().cloned()).collect();
        left_over.sort();
        left_over.dedup();
        let claim = Claim { cgroups: left_over.clone(), ..claim };
        let (name, lock) = self.new_file(claim.pid)?;
        if let Err(cause) = append(lock.file(), &claim) {
            // It is empty, and the next sweeps it if this fails too.
            let _ = folder.remove(&name, &lock);
            return Err(folder.failed(&name, cause));
        }
        for Dead { name, lock, .. } in dead {
            // Where the folder is for all users, only its owner and root may remove a file.
            match folder.remove(&name, &lock) {
                Ok(()) | Err(Errno::PERM | Errno::ACCESS) => {}
                Err(cause) => tracing::warn!(file = name, %cause, "cannot remove the claim of a process that is gone"),
            }
        }
        Ok(HeldClaim { folder: folder.clone(), name, lock, claim: Mutex::new(claim), left_over })
    }

    /// A file that is new and locked. A process has several where it runs several pipelines, and a number of a process may be
    /// there twice where containers share the folder.
    fn new_file(&self, pid: u32) -> Result<(String, Locked), ResourceError> {
        let folder = self.folder;
        let mode = Mode::from_raw_mode(if folder.is_for_all()? { 0o644 } else { 0o600 });
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        for number in 0_u32..=u32::MAX {
            let name = format!("{PREFIX}{pid}-{number}{SUFFIX}");
            let file = match openat(folder.directory(), name.as_str(), flags, mode) {
                Err(Errno::EXIST) => continue,
                opened => opened.map_err(|cause| folder.failed(&name, cause))?,
            };
            fchmod(&file, mode).map_err(|cause| folder.failed(&name, cause))?;
            // It is new, and nobody looks without choosing.lock.
            let locked = Locked::now(file, Hold::Alone).and_then(|lock| lock.map_err(|_| Errno::WOULDBLOCK));
            return locked.map(|lock| (name.clone(), lock)).map_err(|cause| folder.failed(&name, cause));
        }
        Err(folder.failed(PREFIX, Errno::EXIST))
    }
}

impl HeldClaim {
    /// What is claimed now.
    #[must_use]
    pub fn claim(&self) -> Claim {
        self.claim.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Control groups of processes of this user that died, for whoever knows how to remove groups. They stay written down
    /// as this claim's until [`HeldClaim::set_cgroups`].
    #[must_use]
    pub fn left_over(&self) -> &[String] {
        &self.left_over
    }

    /// Writes down the control groups of this run, in place of those that were. Do it before they are made and after they are
    /// removed, so that there is never one that nobody knows of.
    ///
    /// # Errors
    /// The folder's errors; what was written before still holds then.
    pub fn set_cgroups(&self, cgroups: Vec<String>) -> Result<(), ResourceError> {
        let _choosing = self.folder.choosing(Hold::Alone)?;
        let mut claim = self.claim.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = Claim { cgroups, ..claim.clone() };
        append(self.lock.file(), &changed).map_err(|cause| self.folder.failed(&self.name, cause))?;
        *claim = changed;
        Ok(())
    }
}

impl Drop for HeldClaim {
    fn drop(&mut self) {
        if !self.claim.get_mut().unwrap_or_else(PoisonError::into_inner).cgroups.is_empty() {
            return;
        }
        // Without it the file stays until the next claim; that it is free is what counts, and that comes with the lock.
        if let Ok(_choosing) = self.folder.choosing(Hold::Alone) {
            let _ = self.folder.remove(&self.name, &self.lock);
        }
    }
}

/// Adds a line. The last whole line counts, so that a process that dies while it writes leaves what it wrote before.
fn append(file: &OwnedFd, claim: &Claim) -> Result<(), Errno> {
    let mut line = serde_json::to_vec(claim).map_err(|_| Errno::INVAL)?;
    line.push(b'\n');
    let before = u64::try_from(fstat(file)?.st_size).map_err(|_| Errno::INVAL)?;
    let length = u64::try_from(line.len()).map_err(|_| Errno::FBIG)?;
    if before.saturating_add(length) > LONGEST {
        return Err(Errno::FBIG);
    }
    match pwrite(file, &line, before) {
        Ok(written) if written == line.len() => Ok(()),
        outcome => {
            ftruncate(file, before)?;
            Err(outcome.err().unwrap_or(Errno::NOSPC))
        }
    }
}

/// The last line that is whole and a claim.
fn read_claim(file: &OwnedFd) -> Option<Claim> {
    let length = u64::try_from(fstat(file).ok()?.st_size).ok().filter(|length| *length <= LONGEST)?;
    let mut text = vec![0; usize::try_from(length).ok()?];
    let read = pread(file, &mut text, 0).ok()?;
    let whole = text.get(..read)?.split_inclusive(|&byte| byte == b'\n').filter(|line| line.ends_with(b"\n"));
    whole.rev().find_map(|line| serde_json::from_slice(line).ok())
}

fn is_ours(file: &OwnedFd) -> bool {
    fstat(file).is_ok_and(|stat| stat.st_uid == geteuid().as_raw())
}
