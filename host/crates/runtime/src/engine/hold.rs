use std::collections::BTreeMap;
use std::sync::Arc;

use sage_admission::{Cpus, Grant, Options, Reason, Refusal, decide};
use sage_machine::{
    Claim, CpuLease, CpuSet, DeviceClaim, HeldClaim, Holder, Inventory, LeaseFolder, LeaseRequest, LedgerLock, Mending,
    ResourceError, ShareState, Supply,
};
use sage_models::{Device, Devices, HeldDevices, InstanceLease, Lease};
use sage_plan::{ModelSpec, Plan, StageId};

/// What a pipeline holds of the machine: CPUs by stage, instance and lane, leases on devices, and its claim to everything else. It is free again when
/// this is dropped: keep it until the last lane has ended.
#[derive(Debug)]
pub struct HeldLeases {
    instances: BTreeMap<(StageId, u32), Vec<CpuLease>>,
    // Before the claim: their keeper holds on to it too.
    devices: HeldDevices,
    claim: Arc<HeldClaim>,
}

impl HeldLeases {
    /// The CPU of a lane; `None` for a lane that leases none.
    #[must_use]
    pub fn lane(&self, stage: StageId, instance: u32, lane: u32) -> Option<&CpuLease> {
        self.instances.get(&(stage, instance))?.get(usize::try_from(lane).ok()?)
    }

    /// Whose a leased CPU is.
    #[must_use]
    pub fn owner(&self, cpu: u32) -> Option<(StageId, u32)> {
        let mut instances = self.instances.iter();
        instances.find(|(_, leases)| leases.iter().any(|lease| lease.cpu() == cpu)).map(|(owner, _)| *owner)
    }

    /// Looks whether all of this still stands in the ledger, and writes it down anew where it does not.
    ///
    /// # Errors
    /// As [`Mending::of`].
    pub fn mend(&self) -> Result<Option<Mending>, ResourceError> {
        let leases: Vec<&CpuLease> = self.instances.values().flatten().collect();
        Mending::of(&self.claim, &leases)
    }

    /// All CPUs leased.
    #[must_use]
    pub fn cpus(&self) -> CpuSet {
        self.instances.values().flatten().map(CpuLease::cpu).collect()
    }

    /// The leases of an instance on devices, one for each; none where it asked for none.
    #[must_use]
    pub fn devices(&self, stage: StageId, instance: u32) -> &[Arc<Lease>] {
        self.devices.of(stage, instance)
    }

    /// All leases on devices, with what keeps them.
    pub fn held_devices(&self) -> &HeldDevices {
        &self.devices
    }

    /// What is claimed besides, and where control groups are written down.
    pub fn claim(&self) -> &HeldClaim {
        &self.claim
    }
}

/// Decides by what is held at this moment and takes what was granted, while nobody else decides: of two that ask at once and do
/// not fit together, one is granted and the other is told so.
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
    let choosing = folder.choose().map_err(refusal)?;
    let taken = choosing.taken().map_err(refusal)?;
    let grant = decide(plan, inventory, supply, options, devices, &taken)?;
    let instances = lease(&grant, plan, &choosing).map_err(refusal)?;
    let cpus = instances.values().flatten().map(CpuLease::cpu).collect();
    let leases = device_leases(&grant, plan, devices, &choosing).map_err(refusal)?;
    let claims = leases.iter().map(|lease| lease.claim.clone()).collect();
    let claim = Claim::here(&plan.name, grant.tenant.as_str(), grant.amounts.clone(), cpus);
    let claim = choosing.claim(claim.with_devices(claims, devices.lease_ttl)).map_err(refusal)?;
    // Whatever is given back from here on waits for the ledger.
    drop(choosing);
    let claim = Arc::new(claim);
    let devices = HeldDevices::keep(Arc::clone(&claim), leases).map_err(refusal)?;
    Ok((grant, HeldLeases { instances, devices, claim }))
}

/// Leases the CPUs of a grant, all or nothing.
fn lease(
    grant: &Grant,
    plan: &Plan,
    choosing: &LedgerLock<'_>,
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
    let leases = choosing.lease_all(&requests, &grant.allowed, grant.cpus_reserved)?;
    Ok(instances.into_iter().zip(leases).collect())
}

/// The leases of a grant on devices, each with a token of its own.
fn device_leases(
    grant: &Grant,
    plan: &Plan,
    devices: &Devices,
    choosing: &LedgerLock<'_>,
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
        let first = choosing.tokens(count)?;
        for (token, lease) in (first..).zip(&mut leases) {
            lease.claim.token = token;
        }
    }
    Ok(leases)
}

/// The names under which devices load the files of some models.
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
