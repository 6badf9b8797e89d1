use std::os::fd::OwnedFd;
use std::sync::Mutex;

use rustix::fs::ftruncate;
use rustix::io::{Errno, pread, pwrite};

use super::cpu_lease::{HeldBy, Hold, Locked};
use super::lock_holder::LockHolder;
use super::{CpuLease, CpuSet, HeldCpu, Holder, LeaseFolder, LeaseRefused, LeaseRequest, ResourceError};

/// Locks on the CPUs' files.
impl LeaseFolder {
    /// Does the work of [`LeaseFolder::lease_all`], without the CPUs in `elsewhere`. The caller holds the
    /// exclusive lock of the folder.
    pub(super) fn lease_now(
        &self,
        requests: &[LeaseRequest],
        allowed: &CpuSet,
        keep_free: u32,
        elsewhere: &[HeldCpu],
    ) -> Result<Vec<Vec<CpuLease>>, ResourceError> {
        let mut free = Vec::new();
        let mut held = Vec::new();
        for cpu in allowed.iter().rev() {
            if let Some(taken) = elsewhere.iter().find(|taken| taken.cpu == cpu) {
                held.push(taken.clone());
                continue;
            }
            match self.lock_of(cpu)? {
                Ok(lock) => free.push((cpu, lock)),
                Err(taken) => held.push(taken),
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
                taken.push(CpuLease { cpu, lock: Mutex::new(lock) });
            }
            leases.push(taken);
        }
        Ok(leases)
    }

    /// Takes the lock of a CPU, or returns its holder. The caller holds the exclusive lock of the folder.
    pub(super) fn lock_of(&self, cpu: u32) -> Result<Result<Locked, HeldCpu>, ResourceError> {
        let name = file_name(cpu);
        let file = match self.file(&name, true) {
            Ok(file) => file,
            // An entry of another user: the CPU is left out. Any other failure is an error of the folder.
            Err(error) => return self.foreign_cpu(cpu, &name).map(Err).ok_or(error),
        };
        let file = file.ok_or_else(|| self.failed(&name, Errno::NOENT))?;
        let locked = Locked::now(file, Hold::Alone).map_err(|cause| self.failed(&name, cause))?;
        Ok(locked.map_err(|file| HeldCpu { cpu, holder: read_holder(&file), by: HeldBy::Lock(None) }))
    }

    fn foreign_cpu(&self, cpu: u32, name: &str) -> Option<HeldCpu> {
        let entry = self.entry(name)?;
        Some(HeldCpu { cpu, holder: None, by: HeldBy::Entry { what: entry.what, user: entry.user } })
    }

    /// The CPUs that are held at this moment by any process, including this one, by number: leased CPUs, CPUs
    /// of devices, and CPUs whose file cannot be locked.
    ///
    /// # Errors
    /// The folder's errors.
    pub fn held_by_anyone(&self) -> Result<Vec<HeldCpu>, ResourceError> {
        let _looking = self.ledger_lock(Hold::Together)?;
        let mut held = self.held_cpus()?;
        held.extend(self.device_cpus()?);
        held.sort_by_key(|held| held.cpu);
        held.dedup_by_key(|held| held.cpu);
        Ok(held)
    }

    /// Like [`LeaseFolder::held_by_anyone`], without the CPUs of devices. The caller holds the folder's lock.
    pub(super) fn held_cpus(&self) -> Result<Vec<HeldCpu>, ResourceError> {
        let mut held = Vec::new();
        for cpu in self.names()?.iter().filter_map(|name| cpu_of(name)) {
            let name = file_name(cpu);
            let file = match self.file(&name, false) {
                Ok(Some(file)) => file,
                Ok(None) => continue,
                Err(error) => {
                    held.push(self.foreign_cpu(cpu, &name).ok_or(error)?);
                    continue;
                }
            };
            // A shared lock, so that two readers do not take each other for a holder.
            match Locked::now(file, Hold::Together).map_err(|cause| self.failed(&name, cause))? {
                Ok(_free) => {}
                Err(file) => held.push(HeldCpu { cpu, holder: read_holder(&file), by: HeldBy::Lock(None) }),
            }
        }
        held.sort_by_key(|held| held.cpu);
        Ok(held)
    }

    /// Like [`LeaseFolder::held_cpus`], with the process that holds each lock by the kernel's report. For
    /// messages to people.
    pub(super) fn held_cpus_by_whom(&self) -> Result<Vec<HeldCpu>, ResourceError> {
        let mut held = self.held_cpus()?;
        for cpu in &mut held {
            if let HeldBy::Lock(holder) = &mut cpu.by {
                *holder = self.foreign(&file_name(cpu.cpu)).and_then(LockHolder::of);
            }
        }
        Ok(held)
    }
}

pub(super) fn file_name(cpu: u32) -> String {
    format!("cpu-{cpu}.lock")
}

fn cpu_of(file_name: &str) -> Option<u32> {
    file_name.strip_prefix("cpu-")?.strip_suffix(".lock")?.parse().ok()
}

pub(super) fn write_holder(file: &OwnedFd, holder: &Holder) -> Result<(), Errno> {
    let text = serde_json::to_vec(holder).map_err(|_| Errno::INVAL)?;
    ftruncate(file, 0)?;
    match pwrite(file, &text, 0)? {
        written if written == text.len() => Ok(()),
        _ => Err(Errno::IO),
    }
}

/// Reads the holder's text. Unreadable text gives no name, since any user may have written it.
pub(super) fn read_holder(file: &OwnedFd) -> Option<Holder> {
    let mut text = [0; 4096];
    let length = pread(file, &mut text, 0).ok()?;
    serde_json::from_slice(text.get(..length)?).ok()
}
