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

/// The machine's ledger, held by one process alone while it looks, decides and takes: what it sees stays true until this is
/// dropped. Two processes that ask at once are served one after the other.
///
/// Each running pipeline has a file `run-<pid>-<n>.lock` beside the CPUs' files, locked by its process and holding a [`Claim`].
/// The kernel frees the lock of a process that dies, and with the lock its claim counts no more; the file itself
/// is removed by whoever claims next.
///
/// The file begins with a heartbeat, the time since the machine's start at which the claim was last renewed: leases on devices
/// end when that is too long ago, so that a process that is stopped or hangs holds no device for ever. Everything else ends with the process
/// only.
///
/// **Why these files may be removed.** A locked file that loses its name could get a successor with a second holder. Here
/// nobody makes, locks or removes one without holding the folder locked alone, and whoever removes one holds its lock and has
/// seen that the name still leads to that very file.
///
/// **Who waits for whom.** For the folder's lock, as [`LeaseFolder`] says; the locks of claims are only tried. Do not drop a
/// [`HeldClaim`] while holding this: that waits for it in vain and leaves the file to the next.
#[derive(Debug)]
pub struct LedgerLock<'f> {
    folder: &'f LeaseFolder,
    _alone: Locked,
}

/// What a pipeline that runs here claims; given back on drop, or with the process.
#[derive(Debug)]
#[must_use = "what is claimed is free again as soon as this is dropped"]
pub struct HeldClaim {
    folder: LeaseFolder,
    file: Mutex<ClaimFile>,
    claim: Claim,
}

/// Where a claim stands.
#[derive(Debug)]
struct ClaimFile {
    name: String,
    lock: Locked,
}

/// A claim's file that nobody holds any more, locked so that nobody does while it is swept.
struct Dead {
    name: String,
    lock: Locked,
}

const PREFIX: &str = "run-";
const SUFFIX: &str = ".lock";
/// The number of the lease on a device that was given out last.
const TOKENS: &str = "leases.count";
/// What a file may hold: some 5,000 leases on devices, of 100 to 200 bytes each. What is longer was not written by us.
const LONGEST: u64 = 1 << 20;
/// How long the folders of single users are waited for, which anybody of them may hold.
const OTHERS_PATIENCE: Duration = Duration::from_millis(100);

impl LeaseFolder {
    /// Holds the ledger alone.
    ///
    /// # Errors
    /// The folder's errors; [`ResourceError::FolderBusy`] when somebody else does not let go of it.
    pub fn choose(&self) -> Result<LedgerLock<'_>, ResourceError> {
        Ok(LedgerLock { folder: self, _alone: self.choosing(Hold::Alone)? })
    }

    /// What is held at this moment.
    ///
    /// # Errors
    /// The folder's errors.
    pub fn taken(&self) -> Result<Holdings, ResourceError> {
        let _looking = self.choosing(Hold::Together)?;
        self.taken_now()
    }

    /// As [`LeaseFolder::taken`]; needs the folder locked.
    fn taken_now(&self) -> Result<Holdings, ResourceError> {
        let mut taken = self.taken_here()?;
        for other in self.fallbacks() {
            // Whoever holds it for longer keeps nobody: what is there is not seen then, as it would not be if it came a moment later.
            if let Ok(_looking) = other.choosing_within(Hold::Together, OTHERS_PATIENCE)
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
        // A CPU that a device has to itself is as good as leased.
        let mut cpus = self.held_cpus_by_whom()?;
        cpus.extend(devices.iter().flat_map(DeviceShare::held_cpus));
        cpus.sort_by_key(|held| held.cpu);
        cpus.dedup_by_key(|held| held.cpu);
        Ok(Holdings { cpus, claims, devices, place: None })
    }

    /// The CPUs that devices have to themselves, by the leases on them; needs `choosing.lock`.
    pub(super) fn device_cpus(&self) -> Result<Vec<HeldCpu>, ResourceError> {
        let devices = device_shares(&self.claims(None)?, self.busy_shares(false)?);
        Ok(devices.iter().flat_map(DeviceShare::held_cpus).collect())
    }

    /// Claims of running pipelines; those of dead ones go to `dead`, locked, if it is given.
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

    /// A file that others wrote, to be read. Whatever is no file of ours says nothing: another user may have put it here.
    pub(super) fn foreign(&self, name: &str) -> Option<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = openat(self.directory(), name, flags, Mode::empty()).ok()?;
        self.is_named(name, &file).then_some(file)
    }

    /// Removes the file of somebody who is gone, which we hold locked. Needs the folder locked alone.
    pub(super) fn sweep(&self, name: &str, lock: &Locked) {
        // Where the folder is for all users, only its owner and root may remove a file.
        match self.remove(name, lock) {
            Ok(()) | Err(Errno::PERM | Errno::ACCESS) => {}
            Err(cause) => tracing::warn!(file = name, %cause, "cannot remove the file of a process that is gone"),
        }
    }

    /// Whether the name leads to this regular file, and nothing else does.
    pub(super) fn is_named(&self, name: &str, file: &OwnedFd) -> bool {
        let (Ok(open), Ok(named)) = (fstat(file), statat(self.directory(), name, AtFlags::SYMLINK_NOFOLLOW)) else {
            return false;
        };
        FileType::from_raw_mode(open.st_mode) == FileType::RegularFile
            && open.st_nlink == 1
            && (open.st_dev, open.st_ino) == (named.st_dev, named.st_ino)
    }

    /// Takes the name from a file that we hold locked. Needs the folder locked alone.
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

    /// What is held, until this is dropped.
    ///
    /// # Errors
    /// The folder's errors.
    pub fn taken(&self) -> Result<Holdings, ResourceError> {
        self.folder.taken_now()
    }

    /// Numbers for so many leases on devices: the first of them, each higher than any that the machine gave out before.
    ///
    /// # Errors
    /// The folder's errors.
    pub fn tokens(&self, count: u64) -> Result<u64, ResourceError> {
        let folder = self.folder;
        let failed = |cause| folder.failed(TOKENS, cause);
        // Should somebody have spoilt the file: higher than those that are in use, at least.
        let used = self.taken()?.devices.iter().map(|share| share.claim.token).max().unwrap_or(0);
        let overflow = || failed(Errno::OVERFLOW);
        let file = match folder.file(TOKENS, true) {
            Ok(file) => file.ok_or_else(|| failed(Errno::NOENT))?,
            // Something of another user's: the clock rises too, in microseconds since 1970 far above what the file counts.
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
        let others = self.folder.fallbacks();
        let elsewhere = others.iter().filter_map(|other| {
            let _looking = other.choosing_within(Hold::Together, OTHERS_PATIENCE).ok()?;
            other.held_cpus().ok()
        });
        let mut elsewhere: Vec<HeldCpu> = elsewhere.flatten().filter(HeldCpu::is_leased).collect();
        elsewhere.extend(self.folder.device_cpus()?);
        self.folder.lease_now(requests, allowed, keep_free, &elsewhere)
    }

    /// Writes a claim down, and sweeps the files of processes that died.
    ///
    /// # Errors
    /// The folder's errors; nothing is claimed then.
    pub fn claim(&self, claim: Claim) -> Result<HeldClaim, ResourceError> {
        let folder = self.folder;
        let text = text_of(&claim)?;
        let mut dead = Vec::new();
        folder.claims(Some(&mut dead))?;
        let (name, lock) = self.new_file(claim.pid)?;
        if let Err(cause) = write_beat(lock.file(), since_boot()).and_then(|()| write_claim(lock.file(), &text)) {
            // It holds no claim, and the next sweeps it if this fails too.
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
            // It is new, and nobody looks without the folder locked.
            let locked = Locked::now(file, Hold::Alone).and_then(|lock| lock.map_err(|_| Errno::WOULDBLOCK));
            return locked.map(|lock| (name.clone(), lock)).map_err(|cause| folder.failed(&name, cause));
        }
        Err(folder.failed(PREFIX, Errno::EXIST))
    }
}

impl HeldClaim {
    /// What is claimed, with the leases on devices as they were at first.
    #[must_use]
    pub fn claim(&self) -> &Claim {
        &self.claim
    }

    /// Where.
    #[must_use]
    pub fn folder(&self) -> &LeaseFolder {
        &self.folder
    }

    /// Renews the leases on devices, as of this time since the machine's start. One write of some bytes, and no wait for the ledger.
    ///
    /// The time is the caller's, who has seen that the leases had not expired by then: should it be stopped in between, the renewal is as old as
    /// that look.
    ///
    /// # Errors
    /// The folder's errors: they are not renewed.
    pub fn beat(&self, now: Duration) -> Result<(), ResourceError> {
        let file = self.file();
        write_beat(file.lock.file(), now).map_err(|cause| self.folder.failed(&file.name, cause))
    }

    /// Writes down what the leases on devices have become. Waits for the ledger for as long as `timeout`, at most.
    ///
    /// # Errors
    /// The folder's errors; what is written may be nonsense then, which counts as nothing.
    pub fn change_devices(&self, devices: Vec<DeviceClaim>, timeout: Duration) -> Result<(), ResourceError> {
        let text = text_of(&Claim { devices, ..self.claim.clone() })?;
        let _choosing = self.folder.choosing_within(Hold::Alone, timeout)?;
        let file = self.file();
        write_claim(file.lock.file(), &text).map_err(|cause| self.folder.failed(&file.name, cause))
    }

    /// Whether the claim's name still leads to it.
    pub(super) fn stands(&self) -> bool {
        let file = self.file();
        self.folder.is_named(&file.name, file.lock.file())
    }

    /// Writes the claim down once more, as it stands in the file that lost its name.
    pub(super) fn write_anew(&self, choosing: &LedgerLock<'_>) -> Result<(), ResourceError> {
        let mut file = self.file();
        let failed = |cause| self.folder.failed(&file.name, cause);
        let length = usize::try_from(fstat(file.lock.file()).map_err(failed)?.st_size).unwrap_or(0);
        let mut text = vec![0; length];
        let read = pread(file.lock.file(), &mut text, 0).map_err(failed)?;
        let (name, lock) = choosing.new_file(self.claim.pid)?;
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
        // Without it the file stays until the next claim; that it is free is what counts, and that comes with the lock.
        if let Ok(_choosing) = self.folder.choosing(Hold::Alone) {
            let file = self.file();
            let _ = self.folder.remove(&file.name, &file.lock);
        }
    }
}

/// A claim that counts, and when it was last renewed.
struct Living {
    claim: Claim,
    beat: Duration,
}

/// What is held of devices: by those that live, and by devices that were not let go of.
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

/// Where the heartbeat stands: `00000012345678901234\n`, nanoseconds. The claim follows.
const BEAT: usize = 20;
const HEADER: u64 = BEAT as u64 + 1;

fn write_beat(file: &OwnedFd, at: Duration) -> Result<(), Errno> {
    let text = format!("{:0BEAT$}\n", at.as_nanos());
    match pwrite(file, text.as_bytes(), 0)? {
        written if written == text.len() => Ok(()),
        _ => Err(Errno::NOSPC),
    }
}

/// What stands in a claim's file, which has a bound.
fn text_of(claim: &Claim) -> Result<Vec<u8>, ResourceError> {
    let text = serde_json::to_vec(claim).map_err(|error| ResourceError::Claim(error.to_string()))?;
    match u64::try_from(text.len()).unwrap_or(u64::MAX).saturating_add(HEADER) {
        length if length > LONGEST => {
            Err(ResourceError::LargeClaim { length, limit: LONGEST, leases: claim.devices.len() })
        }
        _ => Ok(text),
    }
}

/// Fills a file that is new, or holds an older state of the claim.
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
    // It is renewed without a lock. The later of two looks is never a mixture of a later and an earlier time that seems too old.
    let mut again = [0; BEAT];
    pread(file, &mut again, 0).ok()?;
    let beat = [beat, again.as_slice()].into_iter().filter_map(nanoseconds).max()?;
    Some(Living { claim, beat })
}

fn nanoseconds(digits: &[u8]) -> Option<Duration> {
    Some(Duration::from_nanos(std::str::from_utf8(digits).ok()?.parse().ok()?))
}
