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

/// A run's leases on devices, by stage and instance, and the thread that keeps them: it renews them in the machine's book, sees to it that one
/// that somebody asks for is given up, and takes a share out of the book when the device is free of it. On drop they are released.
///
/// ```text
///  every 250 ms: was I stopped?  ─▶ all leases have expired, out of the book with them
///                a quarter of their time over?  ─▶ heartbeat, and the device's process is told
///                a request for one?  ─▶ Lease::revoke(grace)
///                its device is lost for good?  ─▶ so is the lease
///                ended, and nothing runs for it?  ─▶ out of the book
/// ```
///
/// **A device in a process of its own** ([`HeldDevices::drive`]) holds what it holds until it lets go, so the end of a lease reaches it too. With the
/// last lease of this run on the device the process is ended. While others are held it goes on for them: a run that is not over when
/// its lease's grace is costs the process and a restart; then it gives back the models that only the ended lease's operator lists, and that
/// lease's lock. Until the lock is let go, by that or by the process's end, the book says `busy`, and the share is not free.
///
/// **Who waits for whom.** The thread waits a moment for the ledger's lock where something is to be written down, and for nothing else: a heartbeat
/// needs no lock, and what a device's process must end or give back, threads of their own wait for. Dropping this waits for the thread where nothing runs for any
/// lease; otherwise the thread goes on by itself until that is so, and the claim stays as long: what is not free is not called free.
#[derive(Debug)]
#[must_use = "the devices are free again as soon as this is dropped"]
pub struct HeldDevices {
    instances: BTreeMap<(StageId, u32), Vec<Arc<Lease>>>,
    kept: Option<Kept>,
}

/// A lease for an instance, as the claim that it stands in says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceLease {
    /// The stage.
    pub stage: StageId,
    /// What is in the claim: of which device, for which instance.
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
    /// Leases for a run that wants none.
    pub fn none() -> Self {
        Self { instances: BTreeMap::new(), kept: None }
    }

    /// Keeps the leases of a claim from now on.
    ///
    /// # Errors
    /// The claim cannot be renewed, or there is no thread to do it.
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

    /// The leases of an instance, one for each device; none where it asked for none.
    #[must_use]
    pub fn of(&self, stage: StageId, instance: u32) -> &[Arc<Lease>] {
        self.instances.get(&(stage, instance)).map(Vec::as_slice).unwrap_or_default()
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Lease>> {
        self.instances.values().flatten()
    }

    /// The locks of the leases on a device, for the process that drives it to inherit: as long as that has one, the share is not free, even if
    /// this process is killed.
    #[must_use]
    pub fn locks(&self, device: &str) -> Arc<dyn LeaseLocks> {
        let renewer = self.kept.as_ref().map_or_else(Weak::new, |kept| Arc::downgrade(&kept.renewer));
        Arc::new(DeviceLocks { device: device.to_owned(), renewer })
    }

    /// When the leases are over unless they are renewed, as a time since the machine's start.
    #[must_use]
    pub fn kept_until(&self) -> Duration {
        let kept = self.kept.as_ref();
        kept.map_or(Duration::MAX, |kept| kept.renewer.inside().beat.saturating_add(kept.renewer.ttl))
    }

    /// The turns that this run takes with others that hold shares of a device; none where it has all of it. Where they cannot be kept that is
    /// said, and the run goes on without them: beside others' runs then.
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
                tracing::warn!(device = device.id, %error, "this run takes no turns with others that hold shares of the device");
            })
            .ok()
    }

    /// From now on `runner`, a process of its own, runs the models of a device: it is told when the leases are renewed, and what their ends mean
    /// for it.
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
        let choosing = renewer.claim.folder().choose().map_err(failed)?;
        let mut locks = Vec::new();
        for (lease, claim) in entries.iter().filter(|(lease, _)| lease.state().goes_on()) {
            let lock = choosing.busy(renewer.claim.claim(), claim).map_err(failed)?;
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
            // A panic in it was said by the hook already.
            let _ = thread.join();
        }
    }
}
