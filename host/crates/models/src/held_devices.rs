use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Weak};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use super::lease_entry::LeaseEntry;
use super::lease_renewer::LeaseRenewer;
use super::{Device, InferenceError, Lease, LeaseLocks, Runner, Turns};
use sage_machine::{DeviceClaim, HeldClaim, ResourceError, since_boot};
use sage_plan::StageId;

/// A run's leases on devices, by stage and instance, and the thread that keeps them.
///
/// The thread renews the leases in the machine's ledger, ends a lease that a user revokes, and removes a
/// share from the ledger when the device no longer uses it. On drop the leases are released.
///
/// ```text
///  every 250 ms: was this process stopped?   ─▶ all leases expire and leave the ledger
///                a quarter of the TTL over?  ─▶ heartbeat, also to the device's process
///                a revocation request?       ─▶ Lease::revoke(grace)
///                its device lost for good?   ─▶ the lease is lost too
///                ended and idle?             ─▶ out of the ledger
/// ```
///
/// **A device in a process of its own** ([`HeldDevices::drive`]) keeps its memory until it frees it, so the
/// end of a lease must reach that process. When the last lease of this run on the device ends, the process is
/// ended. If other leases are still held, the process continues for them. A call that outlives its lease's
/// grace costs a restart of the process. Otherwise the process frees the models that only the ended lease's
/// operator lists, and then that lease's lock. Until the lock is free, the ledger shows `busy`, and the share
/// is not free.
///
/// **Waiting.** The thread waits briefly for the ledger lock when it has to write, and for nothing else. A
/// heartbeat needs no lock, and separate threads wait for a device's process to end or to free memory.
/// Dropping this value waits for the thread only if no call runs for any lease. Otherwise the thread
/// continues by itself until all calls have ended, and keeps the claim until then: a used device is never
/// shown as free.
#[derive(Debug)]
#[must_use = "the devices are free again as soon as this is dropped"]
pub struct HeldDevices {
    instances: BTreeMap<(StageId, u32), Vec<Arc<Lease>>>,
    kept: Option<Kept>,
}

/// A lease of an instance, with its entry in the claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceLease {
    /// The stage.
    pub stage: StageId,
    /// The entry in the claim, with the device and the instance.
    pub claim: DeviceClaim,
    /// The models that the operator lists.
    pub models: Vec<String>,
}

#[derive(Debug)]
struct Kept {
    renewer: Arc<LeaseRenewer>,
    thread: Option<JoinHandle<()>>,
}

/// The locks of a run's leases on one device.
#[derive(Debug)]
struct DeviceLocks {
    device: String,
    /// Not the owner: what drives the device may be stuck for ever, the run's claim must not be.
    renewer: Weak<LeaseRenewer>,
}

impl HeldDevices {
    /// No leases, for a run that requests no device.
    pub fn none() -> Self {
        Self { instances: BTreeMap::new(), kept: None }
    }

    /// Starts to keep the leases of a claim.
    ///
    /// # Errors
    /// The claim cannot be renewed, or the thread cannot be started.
    pub fn keep(claim: Arc<HeldClaim>, leases: Vec<InstanceLease>) -> Result<Self, ResourceError> {
        if leases.is_empty() {
            return Ok(Self::none());
        }
        let ttl = claim.claim().lease_ttl;
        let beat = since_boot();
        claim.beat(beat)?;
        let mut instances: BTreeMap<_, Vec<Arc<Lease>>> = BTreeMap::new();
        let mut entries = Vec::new();
        for InstanceLease { stage, claim, models } in leases {
            let lease = Lease::held(claim.token, claim.device.as_str(), claim.share, claim.memory);
            lease.keep_until(beat.saturating_add(ttl));
            instances.entry((stage, claim.instance)).or_default().push(Arc::clone(&lease));
            entries.push(LeaseEntry { lease, claim, models, over_since: None });
        }
        let renewer = Arc::new(LeaseRenewer::new(claim, entries, beat));
        let keeping = Arc::clone(&renewer);
        let thread = Builder::new().name("device-leases".to_owned()).spawn(move || keeping.keep());
        let thread = thread.map_err(|cause| ResourceError::DeviceKeeper { cause })?;
        Ok(Self { instances, kept: Some(Kept { renewer, thread: Some(thread) }) })
    }

    /// The leases of an instance, one for each device. Empty if the instance requested no device.
    #[must_use]
    pub fn of(&self, stage: StageId, instance: u32) -> &[Arc<Lease>] {
        self.instances.get(&(stage, instance)).map(Vec::as_slice).unwrap_or_default()
    }

    /// All leases.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Lease>> {
        self.instances.values().flatten()
    }

    /// The locks of the leases on a device, which the device's process inherits. While that process holds a
    /// lock, the share is not free, even if this process is killed.
    #[must_use]
    pub fn locks(&self, device: &str) -> Arc<dyn LeaseLocks> {
        let renewer = self.kept.as_ref().map_or_else(Weak::new, |kept| Arc::downgrade(&kept.renewer));
        Arc::new(DeviceLocks { device: device.to_owned(), renewer })
    }

    /// Time at which the leases expire without a renewal, since the machine's start.
    #[must_use]
    pub fn kept_until(&self) -> Duration {
        let kept = self.kept.as_ref();
        kept.map_or(Duration::MAX, |kept| kept.renewer.inside().beat.saturating_add(kept.renewer.ttl))
    }

    /// The turns of this run with other runs that hold shares of a device. `None` if this run has the whole
    /// device. If the turns cannot be set up, a warning is logged and the run continues without turns, at the
    /// same time as other runs.
    #[must_use]
    pub fn turns(&self, device: &Device) -> Option<Turns> {
        let folder = self.kept.as_ref()?.renewer.claim.folder();
        let leases: Vec<_> = self.all().filter(|lease| lease.device() == device.id).map(Arc::clone).collect();
        if leases.is_empty() || leases.iter().any(|lease| lease.share() >= Device::WHOLE) {
            return None;
        }
        let joined = Turns::join(folder, &device.id, device.slots(), leases);
        joined
            .inspect_err(|error| {
                tracing::warn!(device = device.id, %error, "this run takes no turns with other runs on the device");
            })
            .ok()
    }

    /// Registers `runner`, a process of its own, as the runner of a device's models. From now on, renewals
    /// and ends of leases are passed on to it.
    pub fn drive(&self, device: &str, runner: &Arc<dyn Runner>) {
        let Some(kept) = &self.kept else { return };
        let mut inside = kept.renewer.inside();
        runner.keep_until(inside.beat.saturating_add(kept.renewer.ttl));
        inside.driven.add(device, runner);
    }
}

impl LeaseLocks for DeviceLocks {
    fn take(&self) -> Result<Vec<(u64, OwnedFd)>, InferenceError> {
        let lost = |why: String| InferenceError::DeviceLost(why);
        let nobody = || lost("no lease on it is held any more".to_owned());
        let renewer = self.renewer.upgrade().ok_or_else(nobody)?;
        let entries: Vec<_> = {
            let inside = renewer.inside();
            let here = inside.entries.iter().filter(|entry| entry.claim.device == self.device);
            here.map(|entry| (Arc::clone(&entry.lease), entry.claim.clone())).collect()
        };
        let failed = |error: ResourceError| lost(format!("it cannot be marked as in use: {error}"));
        // Whoever finds a lease expired looks while nobody else holds the ledger alone: what is held now stays marked.
        let ledger_lock = renewer.claim.folder().choose().map_err(failed)?;
        let mut locks = Vec::new();
        for (lease, claim) in entries.iter().filter(|(lease, _)| lease.state().goes_on()) {
            let lock = ledger_lock.busy(renewer.claim.claim(), claim).map_err(failed)?;
            locks.push((lease.token(), lock.leave()));
        }
        if locks.is_empty() { Err(nobody()) } else { Ok(locks) }
    }
}

impl Drop for HeldDevices {
    fn drop(&mut self) {
        let Some(kept) = &mut self.kept else { return };
        let leases: Vec<_> = self.instances.values().flatten().collect();
        leases.iter().for_each(|lease| lease.release());
        kept.renewer.inside().is_stopping = true;
        kept.renewer.stopping.notify_all();
        let is_idle = leases.iter().all(|lease| lease.wait_idle(Instant::now()));
        if let Some(thread) = kept.thread.take().filter(|_| is_idle) {
            // The panic hook has already reported a panic of the thread.
            let _ = thread.join();
        }
    }
}
