use std::os::fd::OwnedFd;

use rustix::fs::{FlockOperation, flock, fstat};
use rustix::io::{Errno, pread, pwrite};

use super::cpu_lease::{Hold, Locked};
use super::device_claim::{DeviceClaim, DeviceShare, ShareState};
use super::{Claim, CpuSet, LeaseFolder, LedgerLock, ResourceError};

/// A sign that a device is in use for a lease, which outlives the process that holds the lease: a file `device-<id>-<token>.busy` of the lease
/// folder, locked by whoever really uses the device. As long as it is locked, the lease's share is not free, whatever became of the
/// lease and its holder.
///
/// The holder takes it for the device's process to inherit, and keeps nothing of it ([`BusyLock::leave`]): the kernel lets go of it when that
/// process is gone, whatever became of the holder. While there is no such process, between an end and a restart, say, the share is held by the lease
/// alone; so whoever starts one takes the lock anew, and makes sure that the lease is still held before it lets go of the ledger.
#[derive(Debug)]
#[must_use = "the device counts as free as soon as this is dropped"]
pub struct BusyLock {
    file: OwnedFd,
}

/// Files that say so.
const PREFIX: &str = "device-";
const SUFFIX: &str = ".busy";
/// Whole, for a device whose user cannot be read.
const WHOLE: u32 = 10_000;

impl BusyLock {
    /// Leaves it to whoever has this descriptor, or inherits it: the share is free when the last of them has closed it. Closed on exec, like all
    /// descriptors here: clear that in the child.
    #[must_use = "the device counts as free as soon as this is dropped"]
    pub fn leave(self) -> OwnedFd {
        self.file
    }
}

impl LedgerLock<'_> {
    /// Takes the busy lock of a lease that this process holds. Once for each process of the device.
    ///
    /// # Errors
    /// The folder's errors; [`ResourceError::Folder`] too where the lock is held already.
    pub fn busy(&self, claim: &Claim, of: &DeviceClaim) -> Result<BusyLock, ResourceError> {
        self.folder().lock_busy(claim, of)
    }
}

impl LeaseFolder {
    /// As [`LedgerLock::busy`]; needs the folder locked alone.
    fn lock_busy(&self, claim: &Claim, of: &DeviceClaim) -> Result<BusyLock, ResourceError> {
        let name = name_of(&of.device, of.token);
        let file = self.file(&name, true)?.ok_or_else(|| self.failed(&name, Errno::NOENT))?;
        flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|cause| self.failed(&name, cause))?;
        let lock = BusyLock { file };
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

    /// Devices that are in use, whoever holds the lease. Needs the folder locked; files that nobody holds are removed where it is held alone.
    pub(super) fn busy_shares(&self, sweep: bool) -> Result<Vec<DeviceShare>, ResourceError> {
        let mut busy = Vec::new();
        for name in self.names()? {
            let Some((device, token)) = parts_of(&name) else { continue };
            let Some(file) = self.foreign(&name) else { continue };
            let how = if sweep { Hold::Alone } else { Hold::Together };
            match Locked::now(file, how).map_err(|cause| self.failed(&name, cause))? {
                Ok(lock) if sweep => self.sweep(&name, &lock),
                Ok(_nobodys) => {}
                Err(file) => busy.push(read_share(&file, &device, token)),
            }
        }
        Ok(busy)
    }
}

/// A device's id may have what a file's name cannot: drivers before 470 name a part of a GPU `MIG-GPU-…/1/0`. Such characters are written as `%2F`.
pub(super) fn written(device: &str) -> String {
    let written = |c: char| match c {
        '/' | '%' | '\0' => format!("%{:02X}", u32::from(c)),
        c => c.to_string(),
    };
    device.chars().map(written).collect()
}

fn name_of(device: &str, token: u64) -> String {
    let device = written(device);
    format!("{PREFIX}{device}-{token}{SUFFIX}")
}

fn parts_of(name: &str) -> Option<(String, u64)> {
    let (written, token) = name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?.rsplit_once('-')?;
    let mut parts = written.split('%');
    let mut device = parts.next()?.to_owned();
    for part in parts {
        let (code, rest) = part.split_at_checked(2)?;
        device.push(u8::from_str_radix(code, 16).ok()?.into());
        device.push_str(rest);
    }
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
            cpus: CpuSet::default(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_device_has_a_file_and_its_file_names_it() {
        for (device, name) in [
            ("cpu0", "device-cpu0-7.busy"),
            ("GPU-8a-1", "device-GPU-8a-1-7.busy"),
            ("MIG-GPU-8a/1/0", "device-MIG-GPU-8a%2F1%2F0-7.busy"),
            ("100%", "device-100%25-7.busy"),
        ] {
            assert_eq!(name_of(device, 7), name);
            assert_eq!(parts_of(name), Some((device.to_owned(), 7)));
        }
        for strange in ["device-a%2-7.busy", "device-a%zz-7.busy", "device-7.busy", "device-a-b.busy"] {
            assert_eq!(parts_of(strange), None, "{strange}");
        }
    }
}
