use std::collections::BTreeMap;
use std::sync::Arc;

use sage_admission::{Cpus, Grant, Options, Reason, Refusal, decide};
use sage_machine::{
    Claim, CpuLease, CpuSet, DeviceClaim, HeldClaim, Holder, Inventory, LeaseFolder, LeaseRequest, LedgerLock, Mending,
    ResourceError, ShareState, Supply,
};
use sage_models::{Device, Devices, HeldDevices, InstanceLease, Lease};
use sage_plan::{ModelSpec, Plan, StageId};

/// The part of the machine that a pipeline holds: CPUs by stage, instance and lane, leases on devices, and its
/// claim to all other resources. A drop frees all of them, so keep this value until the last lane has ended.
#[derive(Debug)]
pub struct HeldLeases {
    instances: BTreeMap<(StageId, u32), Vec<CpuLease>>,
    // Declared before the claim, because the lease supervisor also holds the claim.
    devices: HeldDevices,
    claim: Arc<HeldClaim>,
}

impl HeldLeases {
    /// The CPU of a lane; `None` for a lane without a leased CPU.
    #[must_use]
    pub fn lane(&self, stage: StageId, instance: u32, lane: u32) -> Option<&CpuLease> {
        self.instances.get(&(stage, instance))?.get(usize::try_from(lane).ok()?)
    }

    /// The stage and instance that own a leased CPU.
    #[must_use]
    pub fn owner(&self, cpu: u32) -> Option<(StageId, u32)> {
        let mut instances = self.instances.iter();
        instances.find(|(_, leases)| leases.iter().any(|lease| lease.cpu() == cpu)).map(|(owner, _)| *owner)
    }

    /// Checks that all leases and claims are still in the ledger, and writes missing ones again.
    ///
    /// # Errors
    /// As [`Mending::of`].
    pub fn mend(&self) -> Result<Option<Mending>, ResourceError> {
        let leases: Vec<&CpuLease> = self.instances.values().flatten().collect();
        Mending::of(&self.claim, &leases)
    }

    /// All leased CPUs.
    #[must_use]
    pub fn cpus(&self) -> CpuSet {
        self.instances.values().flatten().map(CpuLease::cpu).collect()
    }

    /// The device leases of an instance; empty if the instance asked for no device.
    #[must_use]
    pub fn devices(&self, stage: StageId, instance: u32) -> &[Arc<Lease>] {
        self.devices.of(stage, instance)
    }

    /// All device leases, with the thread that keeps them alive.
    pub fn held_devices(&self) -> &HeldDevices {
        &self.devices
    }

    /// The claim to all other resources, which also records control groups.
    pub fn claim(&self) -> &HeldClaim {
        &self.claim
    }
}

/// Decides on the basis of the current holdings, and takes the granted resources while it holds the ledger
/// lock. If two runs ask at the same time and do not fit together, one is granted and the other is refused.
///
/// # Errors
/// As [`decide`]; [`Reason::Leases`] when the folder cannot be used. Nothing is taken then.
pub fn admit(
    plan: &Plan,
    inventory: &Inventory,
    supply: &Supply,
    options: &Options,
    devices: &Devices,
    folder: &LeaseFolder,
) -> Result<(Grant, HeldLeases), Refusal> {
    let ledger_lock = folder.choose().map_err(refusal)?;
    let taken = ledger_lock.taken().map_err(refusal)?;
    let grant = decide(plan, inventory, supply, options, devices, &taken)?;
    let instances = lease(&grant, plan, &ledger_lock).map_err(refusal)?;
    let cpus = instances.values().flatten().map(CpuLease::cpu).collect();
    let leases = device_leases(&grant, plan, devices, &ledger_lock).map_err(refusal)?;
    let claims = leases.iter().map(|lease| lease.claim.clone()).collect();
    let claim = Claim::here(&plan.name, grant.tenant.as_str(), grant.amounts.clone(), cpus);
    let claim = ledger_lock.claim(claim.with_devices(claims, devices.lease_ttl)).map_err(refusal)?;
    // Later releases need the ledger lock.
    drop(ledger_lock);
    let claim = Arc::new(claim);
    let devices = HeldDevices::keep(Arc::clone(&claim), leases).map_err(refusal)?;
    Ok((grant, HeldLeases { instances, devices, claim }))
}

/// Leases the CPUs of a grant, all or nothing.
fn lease(
    grant: &Grant,
    plan: &Plan,
    ledger_lock: &LedgerLock<'_>,
) -> Result<BTreeMap<(StageId, u32), Vec<CpuLease>>, ResourceError> {
    let mut instances = Vec::new();
    let mut requests = Vec::new();
    for ((id, stage), granted) in plan.stages().zip(&grant.stages) {
        if granted.cpus == Cpus::Leased {
            for instance in 0..stage.parallelism {
                instances.push((id, instance));
                let holder = Holder::here(&plan.name, &stage.name, instance);
                requests.push(LeaseRequest { count: granted.lanes, holder });
            }
        }
    }
    if requests.is_empty() {
        return Ok(BTreeMap::new());
    }
    let leases = ledger_lock.lease_all(&requests, &grant.allowed, grant.cpus_reserved)?;
    Ok(instances.into_iter().zip(leases).collect())
}

/// The device leases of a grant, each with its own token.
fn device_leases(
    grant: &Grant,
    plan: &Plan,
    devices: &Devices,
    ledger_lock: &LedgerLock<'_>,
) -> Result<Vec<InstanceLease>, ResourceError> {
    let mut leases = Vec::new();
    for ((id, stage), granted) in plan.stages().zip(&grant.stages) {
        for (instance, of_instance) in (0_u32..).zip(&granted.devices) {
            leases.extend(of_instance.iter().map(|part| InstanceLease {
                stage: id,
                models: loaded_as(plan, &stage.models),
                claim: DeviceClaim {
                    device: part.device.clone(),
                    token: 0,
                    operator: stage.name.clone(),
                    instance,
                    share: part.share,
                    memory: part.memory,
                    cpus: devices.get(&part.device).and_then(Device::cpus).unwrap_or_default(),
                    state: ShareState::Held,
                },
            }));
        }
    }
    if let Ok(count @ 1..) = u64::try_from(leases.len()) {
        let first = ledger_lock.tokens(count)?;
        for (token, lease) in (first..).zip(&mut leases) {
            lease.claim.token = token;
        }
    }
    Ok(leases)
}

/// The names under which devices load the files of these models.
fn loaded_as(plan: &Plan, models: &[String]) -> Vec<String> {
    let known = models.iter().filter_map(|name| plan.models.iter().find(|model| model.name == *name));
    known.map(|model| model.first_alike(&plan.models, ModelSpec::is_same_file).name.clone()).collect()
}

fn refusal(error: ResourceError) -> Refusal {
    Refusal { reasons: vec![Reason::Leases(error)] }
}

#[cfg(test)]
#[path = "hold_tests.rs"]
mod tests;
