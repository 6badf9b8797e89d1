use std::fs;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::fs::{FlockOperation, flock, fstat};
use rustix::io::{Errno, fcntl_dupfd_cloexec, pread, pwrite};

use super::cpu_lease::{Hold, Locked};
use super::device_claim::{DeviceClaim, DeviceShare, ShareState};
use super::{Claim, LeaseFolder, ResourceError};

/// A sign that a device is in use for a lease, which outlives the process that holds the lease: a file `device-<id>-<token>.busy` of the lease
/// folder, locked by whoever really uses the device. As long as it is locked, the lease's share is not free, whatever became of the
/// lease and its holder.
///
/// The holder takes it and lets its device's process inherit it ([`BusyLock::share`]). The kernel lets go of the lock when the last of them has
/// closed it, or any of them unlocked it: a host that is killed leaves it to the device's process, an orderly end unlocks it for both.
///
/// **What it does not bound.** A host that is stopped and whose device's process ended without unlocking keeps it until it goes on or dies.
#[derive(Debug)]
#[must_use = "the device counts as free as soon as this is dropped"]
pub struct BusyLock {
    file: OwnedFd,
    /// Whether dropping it lets go for everybody.
    ours: bool,
}

/// Files that say so.
const PREFIX: &str = "device-";
const SUFFIX: &str = ".busy";
/// Whole, for a device whose user cannot be read.
const WHOLE: u32 = 10_000;

impl BusyLock {
    /// The lock once more, for a process of the device's own to inherit. Closed on exec, like all descriptors here: clear that in the child, or
    /// send it over a socket.
    ///
    /// # Errors
    /// No more descriptors.
    pub fn share(&self) -> Result<OwnedFd, ResourceError> {
        fcntl_dupfd_cloexec(&self.file, 0).map_err(ResourceError::BusyLock)
    }

    /// Lets go of it for everybody who has it; for the device's process, when it no longer touches the device.
    ///
    /// # Errors
    /// When it is no lock at all.
    pub fn unlock(inherited: BorrowedFd<'_>) -> Result<(), ResourceError> {
        flock(inherited, FlockOperation::Unlock).map_err(ResourceError::BusyLock)
    }

    /// Leaves it to whoever inherited it: the share is free when they let go.
    pub fn leave(mut self) {
        self.ours = false;
    }
}

impl Drop for BusyLock {
    fn drop(&mut self) {
        if self.ours {
            // Should this fail, it is let go when the last descriptor is closed.
            let _ = Self::unlock(self.file.as_fd());
        }
    }
}

impl LeaseFolder {
    /// Takes the busy lock of a lease that this process holds. Once for each lease.
    ///
    /// # Errors
    /// The folder's errors; [`ResourceError::Folder`] too where the lock is held already.
    pub fn busy(&self, claim: &Claim, of: &DeviceClaim) -> Result<BusyLock, ResourceError> {
        let _choosing = self.choosing(Hold::Alone)?;
        let name = name_of(&of.device, of.token);
        let file = self.file(&name, true)?.ok_or_else(|| self.failed(&name, Errno::NOENT))?;
        flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|cause| self.failed(&name, cause))?;
        let lock = BusyLock { file, ours: true };
        let share = DeviceShare {
            pid: claim.pid,
            pipeline: claim.pipeline.clone(),
            tenant: claim.tenant.clone(),
            claim: DeviceClaim { state: ShareState::Busy, ..of.clone() },
        };
        let text = serde_json::to_vec(&share).map_err(|_| self.failed(&name, Errno::INVAL))?;
        match pwrite(&lock.file, &text, 0) {
            Ok(written) if written == text.len() => Ok(lock),
            Ok(_) => Err(self.failed(&name, Errno::NOSPC)),
            Err(cause) => Err(self.failed(&name, cause)),
        }
    }

    /// Devices that are in use, whoever holds the lease. Needs `choosing.lock`; files that nobody holds are removed where it is held alone.
    pub(super) fn busy_shares(&self, sweep: bool) -> Result<Vec<DeviceShare>, ResourceError> {
        let entries =
            fs::read_dir(self.path()).map_err(|cause| ResourceError::Folder { path: self.path().to_owned(), cause })?;
        let mut busy = Vec::new();
        for name in entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()) {
            let Some((device, token)) = parts_of(&name) else { continue };
            let Some(file) = self.foreign(&name) else { continue };
            let how = if sweep { Hold::Alone } else { Hold::Together };
            match Locked::now(file, how).map_err(|cause| self.failed(&name, cause))? {
                Ok(lock) if sweep => self.sweep(&name, &lock),
                Ok(_nobodys) => {}
                Err(file) => busy.push(read_share(&file, device, token)),
            }
        }
        Ok(busy)
    }
}

fn name_of(device: &str, token: u64) -> String {
    format!("{PREFIX}{device}-{token}{SUFFIX}")
}

fn parts_of(name: &str) -> Option<(&str, u64)> {
    let (device, token) = name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?.rsplit_once('-')?;
    Some((device, token.parse().ok()?))
}

/// What was written there; of what cannot be read, the name says which device, and all of it counts as used.
fn read_share(file: &OwnedFd, device: &str, token: u64) -> DeviceShare {
    let unknown = || DeviceShare {
        pid: 0,
        pipeline: String::new(),
        tenant: String::new(),
        claim: DeviceClaim {
            device: device.to_owned(),
            token,
            operator: String::new(),
            instance: 0,
            share: WHOLE,
            memory: 0,
            state: ShareState::Busy,
        },
    };
    let read = || {
        let length = usize::try_from(fstat(file).ok()?.st_size).ok().filter(|length| *length <= 1 << 16)?;
        let mut text = vec![0; length];
        let read = pread(file, &mut text, 0).ok()?;
        let share: DeviceShare = serde_json::from_slice(text.get(..read)?).ok()?;
        (share.claim.device == device && share.claim.token == token).then_some(share)
    };
    read().unwrap_or_else(unknown)
}
