use std::os::fd::OwnedFd;

use rustix::fs::{FlockOperation, flock, fstat};
use rustix::io::{Errno, pread, pwrite};

use super::cpu_lease::{Hold, Locked};
use super::device_claim::{DeviceClaim, DeviceShare, ShareState};
use super::{Claim, CpuSet, LeaseFolder, LedgerLock, ResourceError};

/// A file lock that marks a device as in use for a lease, and that can outlive the process that holds the
/// lease.
///
/// The lock is on the file `device-<id>-<token>.busy` of the lease folder. The process that really uses the
/// device holds it. While the file is locked, the lease's share is not free, even if the lease and its holder
/// are gone.
///
/// The lease holder takes the lock for the device's process to inherit and keeps no descriptor of it
/// ([`BusyLock::leave`]). The kernel releases the lock when the device's process ends, even if the lease
/// holder has ended before. If there is no device process, as between its end and a restart, only the lease
/// holds the share. Therefore the code that starts a device process takes the lock anew, and checks that the
/// lease is still held before it releases the ledger lock.
#[derive(Debug)]
#[must_use = "the device counts as free as soon as this is dropped"]
pub struct BusyLock {
    file: OwnedFd,
}

/// Prefix and suffix of the names of lock files.
const PREFIX: &str = "device-";
const SUFFIX: &str = ".busy";
/// The whole device, in 1/10,000: assumed if the user of the device cannot be read.
const WHOLE: u32 = 10_000;

impl BusyLock {
    /// Gives the lock to the owner of the returned descriptor and to every process that inherits it. The
    /// share is free when the last of them has closed it. The descriptor is close-on-exec, like all
    /// descriptors of this crate; clear that flag in the child.
    #[must_use = "the device counts as free as soon as this is dropped"]
    pub fn leave(self) -> OwnedFd {
        self.file
    }
}

impl LedgerLock<'_> {
    /// Takes the busy lock of a lease that this process holds. Call this once for each process of the device.
    ///
    /// # Errors
    /// The folder's errors. [`ResourceError::Folder`] is also returned if the lock is held already.
    pub fn busy(&self, claim: &Claim, of: &DeviceClaim) -> Result<BusyLock, ResourceError> {
        self.folder().lock_busy(claim, of)
    }
}

impl LeaseFolder {
    /// Does the work of [`LedgerLock::busy`]. The caller holds the exclusive lock of the folder.
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

    /// Shares whose device is in use, regardless of the lease's holder. The caller holds the folder's lock.
    /// With `sweep`, the caller's lock is exclusive, and files without a holder are removed.
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

/// Escapes a device's id for a file name. Ids may contain characters that a file name cannot: drivers before
/// 470 name a part of a GPU `MIG-GPU-…/1/0`. Such a character is written as `%2F`, for example.
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

/// Reads the share that the file describes. For an unreadable file, the file name gives the device, and the
/// whole device counts as used.
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
