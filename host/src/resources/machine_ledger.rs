use std::fs;
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, fchmod, fstat, openat, statat, unlinkat};
use rustix::io::{Errno, pread, pwrite};

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

/// What a pipeline that runs here claims; given back on drop, or with the process.
#[derive(Debug)]
#[must_use = "what is claimed is free again as soon as this is dropped"]
pub struct HeldClaim {
    folder: LeaseFolder,
    name: String,
    lock: Locked,
    claim: Claim,
}

/// A claim's file that nobody holds any more, locked so that nobody does while it is swept.
struct Dead {
    name: String,
    lock: Locked,
}

const PREFIX: &str = "run-";
const SUFFIX: &str = ".lock";
/// What a file may hold: some thousand custom resources. What is longer was not written by us.
const LONGEST: u64 = 1 << 16;

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
                (Ok(lock), Some(dead)) => dead.push(Dead { name, lock }),
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

    /// Writes a claim down, and sweeps the files of processes that died.
    ///
    /// # Errors
    /// The folder's errors; nothing is claimed then.
    pub fn claim(&self, claim: Claim) -> Result<HeldClaim, ResourceError> {
        let folder = self.folder;
        let mut dead = Vec::new();
        folder.claims(Some(&mut dead))?;
        let (name, lock) = self.new_file(claim.pid)?;
        if let Err(cause) = write_claim(lock.file(), &claim) {
            // It holds no claim, and the next sweeps it if this fails too.
            let _ = folder.remove(&name, &lock);
            return Err(folder.failed(&name, cause));
        }
        for Dead { name, lock } in dead {
            // Where the folder is for all users, only its owner and root may remove a file.
            match folder.remove(&name, &lock) {
                Ok(()) | Err(Errno::PERM | Errno::ACCESS) => {}
                Err(cause) => tracing::warn!(file = name, %cause, "cannot remove the claim of a process that is gone"),
            }
        }
        Ok(HeldClaim { folder: folder.clone(), name, lock, claim })
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
    /// What is claimed.
    #[must_use]
    pub fn claim(&self) -> &Claim {
        &self.claim
    }
}

impl Drop for HeldClaim {
    fn drop(&mut self) {
        // Without it the file stays until the next claim; that it is free is what counts, and that comes with the lock.
        if let Ok(_choosing) = self.folder.choosing(Hold::Alone) {
            let _ = self.folder.remove(&self.name, &self.lock);
        }
    }
}

/// Fills a file that is new.
fn write_claim(file: &OwnedFd, claim: &Claim) -> Result<(), Errno> {
    let text = serde_json::to_vec(claim).map_err(|_| Errno::INVAL)?;
    if u64::try_from(text.len()).map_err(|_| Errno::FBIG)? > LONGEST {
        return Err(Errno::FBIG);
    }
    match pwrite(file, &text, 0)? {
        written if written == text.len() => Ok(()),
        _ => Err(Errno::NOSPC),
    }
}

fn read_claim(file: &OwnedFd) -> Option<Claim> {
    let length = u64::try_from(fstat(file).ok()?.st_size).ok().filter(|length| *length <= LONGEST)?;
    let mut text = vec![0; usize::try_from(length).ok()?];
    let read = pread(file, &mut text, 0).ok()?;
    serde_json::from_slice(text.get(..read)?).ok()
}
