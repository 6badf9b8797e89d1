use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, fchmod, fstat, ftruncate, openat, statat, unlinkat};
use rustix::io::{Errno, pread, pwrite};

use super::boot_clock::since_boot;
use super::cpu_lease::{Hold, Locked};
use super::{
    Claim, CpuLease, CpuSet, DeviceClaim, DeviceShare, HeldCpu, Holdings, LeaseFolder, LeaseRequest, ResourceError,
    ShareState,
};

/// The machine's ledger, locked exclusively by one process while it reads, decides and takes. The contents
/// stay valid until the lock is dropped. The requests of two processes are served one after the other.
///
/// Each running pipeline has a file `run-<pid>-<n>.lock` beside the CPUs' files. Its process locks the file,
/// and the file contains a [`Claim`]. When the process ends, the kernel frees the lock and the claim no
/// longer counts; the next process that claims removes the file.
///
/// The file begins with a heartbeat: the time since the machine's start at which the claim was last renewed.
/// Leases on devices end when the heartbeat is too old, so that a process that is stopped or hangs does not
/// hold a device for ever. All other holdings end only with the process.
///
/// **Removal of files.** If a locked file lost its name, a second holder could lock its successor. For claims
/// this cannot happen: a process makes, locks or removes a claim's file only under the exclusive lock of the
/// folder, and before a removal it holds the file's lock and has checked that the name still leads to the
/// same file.
///
/// **Waiting.** Callers wait for the folder's lock, as [`LeaseFolder`] describes; locks of claims are only
/// tried. Do not drop a [`HeldClaim`] while holding this lock: its drop would wait in vain and leave the file
/// for the next claim to remove.
#[derive(Debug)]
pub struct LedgerLock<'f> {
    folder: &'f LeaseFolder,
    _alone: Locked,
}

/// The claim of a pipeline that runs in this process. The claim ends on drop, or with the process.
#[derive(Debug)]
#[must_use = "the claim ends as soon as this is dropped"]
pub struct HeldClaim {
    folder: LeaseFolder,
    file: Mutex<ClaimFile>,
    claim: Claim,
}

/// The file of a claim.
#[derive(Debug)]
struct ClaimFile {
    name: String,
    lock: Locked,
}

/// A claim's file without a holder. The lock keeps it without a holder while it is removed.
struct Dead {
    name: String,
    lock: Locked,
}

const PREFIX: &str = "run-";
const SUFFIX: &str = ".lock";
/// The file with the token of the latest lease on a device.
const TOKENS: &str = "leases.count";
/// Upper bound of a claim's file: some 5,000 device leases of 100 to 200 bytes each. A longer file was not
/// written by sage-host.
const LONGEST: u64 = 1 << 20;
/// Longest wait for the lock of a single user's folder, which a process of that user may hold.
const OTHERS_TIMEOUT: Duration = Duration::from_millis(100);

impl LeaseFolder {
    /// Takes the exclusive lock of the ledger.
    ///
    /// # Errors
    /// The folder's errors; [`ResourceError::FolderBusy`] if another process keeps the lock too long.
    pub fn choose(&self) -> Result<LedgerLock<'_>, ResourceError> {
        Ok(LedgerLock { folder: self, _alone: self.ledger_lock(Hold::Alone)? })
    }

    /// The present holdings of the machine.
    ///
    /// # Errors
    /// The folder's errors.
    pub fn taken(&self) -> Result<Holdings, ResourceError> {
        let _looking = self.ledger_lock(Hold::Together)?;
        self.taken_now()
    }

    /// Like [`LeaseFolder::taken`]. The caller holds the folder's lock.
    fn taken_now(&self) -> Result<Holdings, ResourceError> {
        let mut taken = self.taken_here()?;
        for other in self.fallbacks() {
            // A folder that stays locked for longer is skipped: its entries are not seen, as if they had been
            // made a moment later.
            if let Ok(_looking) = other.choosing_within(Hold::Together, OTHERS_TIMEOUT)
                && let Ok(more) = other.taken_here()
            {
                taken.cpus.extend(more.cpus.into_iter().filter(HeldCpu::is_leased));
                taken.claims.extend(more.claims);
                taken.devices.extend(more.devices);
            }
        }
        taken.place = Some(self.place()?);
        Ok(taken)
    }

    fn taken_here(&self) -> Result<Holdings, ResourceError> {
        let living = self.claims(None)?;
        let devices = device_shares(&living, self.busy_shares(false)?);
        let claims = living.into_iter().map(|living| living.claim).collect();
        // A CPU that a device holds exclusively counts as leased.
        let mut cpus = self.held_cpus_by_whom()?;
        cpus.extend(devices.iter().flat_map(DeviceShare::held_cpus));
        cpus.sort_by_key(|held| held.cpu);
        cpus.dedup_by_key(|held| held.cpu);
        Ok(Holdings { cpus, claims, devices, place: None })
    }

    /// The CPUs that devices hold exclusively, by their leases. The caller holds the folder's lock.
    pub(super) fn device_cpus(&self) -> Result<Vec<HeldCpu>, ResourceError> {
        let devices = device_shares(&self.claims(None)?, self.busy_shares(false)?);
        Ok(devices.iter().flat_map(DeviceShare::held_cpus).collect())
    }

    /// The claims of running pipelines. If `dead` is given, it receives the files of ended pipelines, locked.
    fn claims(&self, mut dead: Option<&mut Vec<Dead>>) -> Result<Vec<Living>, ResourceError> {
        let mut claims = Vec::new();
        for name in self.names()? {
            if !(name.starts_with(PREFIX) && name.ends_with(SUFFIX)) {
                continue;
            }
            let Some(file) = self.foreign(&name) else { continue };
            let how = if dead.is_some() { Hold::Alone } else { Hold::Together };
            match (Locked::now(file, how).map_err(|cause| self.failed(&name, cause))?, &mut dead) {
                (Err(file), _) => claims.extend(read_claim(&file)),
                (Ok(lock), Some(dead)) => dead.push(Dead { name, lock }),
                (Ok(_nobodys), None) => {}
            }
        }
        claims.sort_by(|a, b| (a.claim.pid, &a.claim.pipeline).cmp(&(b.claim.pid, &b.claim.pipeline)));
        Ok(claims)
    }

    /// Opens another process's file for reading. An entry that is not a regular file with one name is
    /// ignored, since another user may have put it there.
    pub(super) fn foreign(&self, name: &str) -> Option<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = openat(self.directory(), name, flags, Mode::empty()).ok()?;
        self.is_named(name, &file).then_some(file)
    }

    /// Removes the file of an ended process. The caller holds the file's lock and the exclusive lock of the
    /// folder.
    pub(super) fn sweep(&self, name: &str, lock: &Locked) {
        // In a folder for all users, only the file's owner and root may remove a file.
        match self.remove(name, lock) {
            Ok(()) | Err(Errno::PERM | Errno::ACCESS) => {}
            Err(cause) => tracing::warn!(file = name, %cause, "cannot remove the file of a process that is gone"),
        }
    }

    /// True if the name leads to this regular file and the file has no other name.
    pub(super) fn is_named(&self, name: &str, file: &OwnedFd) -> bool {
        let (Ok(open), Ok(named)) = (fstat(file), statat(self.directory(), name, AtFlags::SYMLINK_NOFOLLOW)) else {
            return false;
        };
        FileType::from_raw_mode(open.st_mode) == FileType::RegularFile
            && open.st_nlink == 1
            && (open.st_dev, open.st_ino) == (named.st_dev, named.st_ino)
    }

    /// Removes the name of a file that the caller holds locked. The caller holds the exclusive lock of the
    /// folder.
    fn remove(&self, name: &str, lock: &Locked) -> Result<(), Errno> {
        if self.is_named(name, lock.file()) {
            return unlinkat(self.directory(), name, AtFlags::empty());
        }
        Ok(())
    }
}

impl LedgerLock<'_> {
    pub(super) fn folder(&self) -> &LeaseFolder {
        self.folder
    }

    /// The holdings of the machine. They stay valid until the lock is dropped.
    ///
    /// # Errors
    /// The folder's errors.
    pub fn taken(&self) -> Result<Holdings, ResourceError> {
        self.folder.taken_now()
    }

    /// Reserves `count` fencing tokens for leases on devices and returns the first. Each token is higher than
    /// all tokens that the machine gave out before.
    ///
    /// # Errors
    /// The folder's errors.
    pub fn tokens(&self, count: u64) -> Result<u64, ResourceError> {
        let folder = self.folder;
        let failed = |cause| folder.failed(TOKENS, cause);
        // If the file is corrupt, the tokens are at least higher than those in use.
        let used = self.taken()?.devices.iter().map(|share| share.claim.token).max().unwrap_or(0);
        let overflow = || failed(Errno::OVERFLOW);
        let file = match folder.file(TOKENS, true) {
            Ok(file) => file.ok_or_else(|| failed(Errno::NOENT))?,
            // The file belongs to another user. The clock, in microseconds since 1970, rises too and is far
            // above the file's count.
            Err(_) if folder.entry(TOKENS).is_some() => {
                let clock = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros());
                let last = u64::try_from(clock).unwrap_or(0).max(used);
                return last.checked_add(1).ok_or_else(overflow);
            }
            Err(error) => return Err(error),
        };
        let mut text = [0; 20];
        let read = pread(&file, &mut text, 0).map_err(failed)?;
        let written = text.get(..read).and_then(|text| std::str::from_utf8(text).ok()?.trim().parse().ok());
        let last = written.unwrap_or(0_u64).max(used);
        let next = last.checked_add(count).ok_or_else(overflow)?;
        match pwrite(&file, format!("{next:020}").as_bytes(), 0) {
            Ok(20) => Ok(last + 1),
            Ok(_) => Err(failed(Errno::NOSPC)),
            Err(cause) => Err(failed(cause)),
        }
    }

    /// Leases CPUs, as [`LeaseFolder::lease_all`] does.
    ///
    /// # Errors
    /// The errors of [`LeaseFolder::lease_all`].
    pub fn lease_all(
        &self,
        requests: &[LeaseRequest],
        allowed: &CpuSet,
        keep_free: u32,
    ) -> Result<Vec<Vec<CpuLease>>, ResourceError> {
        let others = self.folder.fallbacks();
        let elsewhere = others.iter().filter_map(|other| {
            let _looking = other.choosing_within(Hold::Together, OTHERS_TIMEOUT).ok()?;
            other.held_cpus().ok()
        });
        let mut elsewhere: Vec<HeldCpu> = elsewhere.flatten().filter(HeldCpu::is_leased).collect();
        elsewhere.extend(self.folder.device_cpus()?);
        self.folder.lease_now(requests, allowed, keep_free, &elsewhere)
    }

    /// Writes a claim to the folder, and removes the files of ended processes.
    ///
    /// # Errors
    /// The folder's errors. Nothing is claimed then.
    pub fn claim(&self, claim: Claim) -> Result<HeldClaim, ResourceError> {
        let folder = self.folder;
        let text = text_of(&claim)?;
        let mut dead = Vec::new();
        folder.claims(Some(&mut dead))?;
        let (name, lock) = self.new_file(claim.pid)?;
        if let Err(cause) = write_beat(lock.file(), since_boot()).and_then(|()| write_claim(lock.file(), &text)) {
            // The file holds no claim. If the removal fails too, the next claim removes the file.
            let _ = folder.remove(&name, &lock);
            return Err(folder.failed(&name, cause));
        }
        for Dead { name, lock } in dead {
            folder.sweep(&name, &lock);
        }
        let busy = folder.busy_shares(true)?;
        folder.sweep_turns();
        folder.sweep_requests(&device_shares(&folder.claims(None)?, busy));
        Ok(HeldClaim { folder: folder.clone(), file: Mutex::new(ClaimFile { name, lock }), claim })
    }

    /// Makes a new, locked file. A process has several files if it runs several pipelines, and two processes
    /// may have the same number if containers share the folder.
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
            // The file is new, and no process opens it without the folder's lock.
            let locked = Locked::now(file, Hold::Alone).and_then(|lock| lock.map_err(|_| Errno::WOULDBLOCK));
            return locked.map(|lock| (name.clone(), lock)).map_err(|cause| folder.failed(&name, cause));
        }
        Err(folder.failed(PREFIX, Errno::EXIST))
    }
}

impl HeldClaim {
    /// The claim, with the device leases as they were at first.
    #[must_use]
    pub fn claim(&self) -> &Claim {
        &self.claim
    }

    /// The folder of the claim.
    #[must_use]
    pub fn folder(&self) -> &LeaseFolder {
        &self.folder
    }

    /// Renews the leases on devices as of `now`, a time since the machine's start. Takes one write of some
    /// bytes, and no wait for the ledger.
    ///
    /// The caller passes the time at which it saw that the leases had not expired. If the process is stopped
    /// in between, the renewal is only as recent as that check.
    ///
    /// # Errors
    /// The folder's errors. The leases are not renewed then.
    pub fn beat(&self, now: Duration) -> Result<(), ResourceError> {
        let file = self.file();
        write_beat(file.lock.file(), now).map_err(|cause| self.folder.failed(&file.name, cause))
    }

    /// Writes the present leases on devices to the claim. Waits for the ledger for `timeout` at most.
    ///
    /// # Errors
    /// The folder's errors. The file may be corrupt then; a corrupt claim counts as none.
    pub fn change_devices(&self, devices: Vec<DeviceClaim>, timeout: Duration) -> Result<(), ResourceError> {
        let text = text_of(&Claim { devices, ..self.claim.clone() })?;
        let _choosing = self.folder.choosing_within(Hold::Alone, timeout)?;
        let file = self.file();
        write_claim(file.lock.file(), &text).map_err(|cause| self.folder.failed(&file.name, cause))
    }

    /// True if the claim's name still leads to its file.
    pub(super) fn stands(&self) -> bool {
        let file = self.file();
        self.folder.is_named(&file.name, file.lock.file())
    }

    /// Writes the claim to a new file, with the contents of the file that lost its name.
    pub(super) fn write_anew(&self, ledger_lock: &LedgerLock<'_>) -> Result<(), ResourceError> {
        let mut file = self.file();
        let failed = |cause| self.folder.failed(&file.name, cause);
        let length = usize::try_from(fstat(file.lock.file()).map_err(failed)?.st_size).unwrap_or(0);
        let mut text = vec![0; length];
        let read = pread(file.lock.file(), &mut text, 0).map_err(failed)?;
        let (name, lock) = ledger_lock.new_file(self.claim.pid)?;
        match pwrite(lock.file(), text.get(..read).unwrap_or_default(), 0) {
            Ok(written) if written == read => {}
            Ok(_) => return Err(self.folder.failed(&name, Errno::NOSPC)),
            Err(cause) => return Err(self.folder.failed(&name, cause)),
        }
        *file = ClaimFile { name, lock };
        Ok(())
    }

    fn file(&self) -> MutexGuard<'_, ClaimFile> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for HeldClaim {
    fn drop(&mut self) {
        // If the lock fails, the file stays until the next claim. The resources are free all the same,
        // because the claim's lock ends.
        if let Ok(_choosing) = self.folder.ledger_lock(Hold::Alone) {
            let file = self.file();
            let _ = self.folder.remove(&file.name, &file.lock);
        }
    }
}

/// A claim that counts, and the time of its last renewal.
struct Living {
    claim: Claim,
    beat: Duration,
}

/// The shares of devices: those of living claims, and those of devices that are still in use.
fn device_shares(living: &[Living], mut busy: Vec<DeviceShare>) -> Vec<DeviceShare> {
    let now = since_boot();
    let mut shares = Vec::new();
    for Living { claim, beat } in living {
        let is_late = now.saturating_sub(*beat) > claim.lease_ttl;
        for device in &claim.devices {
            let same = |share: &DeviceShare| share.claim.device == device.device && share.claim.token == device.token;
            let in_use = busy.iter().position(same).map(|at| busy.swap_remove(at)).is_some();
            let state = match (is_late, in_use) {
                (false, _) => device.state,
                (true, false) => ShareState::Expired,
                (true, true) => ShareState::Busy,
            };
            shares.push(DeviceShare {
                pid: claim.pid,
                pipeline: claim.pipeline.clone(),
                tenant: claim.tenant.clone(),
                claim: DeviceClaim { state, ..device.clone() },
            });
        }
    }
    shares.extend(busy);
    shares.sort_by(|a, b| (&a.claim.device, a.claim.token).cmp(&(&b.claim.device, b.claim.token)));
    shares
}

/// Length of the heartbeat at the start of the file: `00000012345678901234\n`, in nanoseconds. The claim
/// follows.
const BEAT: usize = 20;
const HEADER: u64 = BEAT as u64 + 1;

fn write_beat(file: &OwnedFd, at: Duration) -> Result<(), Errno> {
    let text = format!("{:0BEAT$}\n", at.as_nanos());
    match pwrite(file, text.as_bytes(), 0)? {
        written if written == text.len() => Ok(()),
        _ => Err(Errno::NOSPC),
    }
}

/// The JSON text of a claim. Its length is bounded.
fn text_of(claim: &Claim) -> Result<Vec<u8>, ResourceError> {
    let text = serde_json::to_vec(claim).map_err(|error| ResourceError::Claim(error.to_string()))?;
    match u64::try_from(text.len()).unwrap_or(u64::MAX).saturating_add(HEADER) {
        length if length > LONGEST => {
            Err(ResourceError::LargeClaim { length, limit: LONGEST, leases: claim.devices.len() })
        }
        _ => Ok(text),
    }
}

/// Writes the claim to a file that is new or holds an older state of the claim.
fn write_claim(file: &OwnedFd, text: &[u8]) -> Result<(), Errno> {
    let length = HEADER.saturating_add(text.len() as u64);
    match pwrite(file, text, HEADER)? {
        written if written == text.len() => ftruncate(file, length),
        _ => Err(Errno::NOSPC),
    }
}

fn read_claim(file: &OwnedFd) -> Option<Living> {
    let length = u64::try_from(fstat(file).ok()?.st_size).ok().filter(|length| *length <= LONGEST)?;
    let mut text = vec![0; usize::try_from(length).ok()?];
    let read = pread(file, &mut text, 0).ok()?;
    let (beat, claim) = text.get(..read)?.split_at_checked(BEAT)?;
    let claim: Claim = serde_json::from_slice(claim).ok()?;
    // The heartbeat is renewed without a lock. The later of two reads is never a mixture of two times that
    // seems too old.
    let mut again = [0; BEAT];
    pread(file, &mut again, 0).ok()?;
    let beat = [beat, again.as_slice()].into_iter().filter_map(nanoseconds).max()?;
    Some(Living { claim, beat })
}

fn nanoseconds(digits: &[u8]) -> Option<Duration> {
    Some(Duration::from_nanos(std::str::from_utf8(digits).ok()?.parse().ok()?))
}
