use std::collections::BTreeMap;

use super::{Cpus, Grant, Options, Reason, Refusal, decide};
use crate::plan::{Plan, StageId};
use crate::resources::{
    Choosing, Claim, CpuLease, CpuSet, HeldClaim, Holder, Inventory, LeaseFolder, LeaseRequest, ResourceError, Supply,
    Taken,
};

/// What a pipeline holds of the machine: CPUs by stage, instance and lane, and its claim to everything else. It is free again when
/// this is dropped: keep it until the last lane has ended.
#[derive(Debug)]
pub struct HeldLeases {
    instances: BTreeMap<(StageId, u32), Vec<CpuLease>>,
    claim: HeldClaim,
}

impl HeldLeases {
    /// The CPU of a lane; `None` for a lane that leases none.
    #[must_use]
    pub fn lane(&self, stage: StageId, instance: u32, lane: u32) -> Option<&CpuLease> {
        self.instances.get(&(stage, instance))?.get(usize::try_from(lane).ok()?)
    }

    /// All CPUs leased.
    #[must_use]
    pub fn cpus(&self) -> CpuSet {
        self.instances.values().flatten().map(CpuLease::cpu).collect()
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
    folder: &LeaseFolder,
) -> Result<(Grant, HeldLeases), Refusal> {
    let choosing = folder.choose().map_err(refusal)?;
    let taken = choosing.taken().map_err(refusal)?;
    let grant = decide(plan, inventory, supply, options, &taken)?;
    let instances = lease(&grant, plan, &choosing).map_err(refusal)?;
    let cpus = instances.values().flatten().map(CpuLease::cpu).collect();
    let claim = Claim::here(&plan.name, grant.tenant.as_str(), grant.amounts.clone(), cpus);
    let claim = choosing.claim(claim).map_err(refusal)?;
    Ok((grant, HeldLeases { instances, claim }))
}

/// Whether a pipeline that is refused would be granted if nobody else held anything, so that it is worth waiting.
#[must_use]
pub fn fits_alone(plan: &Plan, inventory: &Inventory, supply: &Supply, options: &Options) -> bool {
    decide(plan, inventory, supply, options, &Taken::default()).is_ok()
}

/// Leases the CPUs of a grant, all or nothing.
fn lease(
    grant: &Grant,
    plan: &Plan,
    choosing: &Choosing<'_>,
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

fn refusal(error: ResourceError) -> Refusal {
    Refusal { reasons: vec![Reason::Leases(error)] }
}
