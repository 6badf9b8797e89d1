use std::collections::BTreeMap;

use super::{Cpus, Grant, Options, Reason, Refusal, decide};
use crate::plan::{Plan, StageId};
use crate::resources::{CpuLease, CpuSet, Holder, Inventory, LeaseFolder, LeaseRequest, ResourceError, Supply};

/// The CPUs that a pipeline has leased, by stage, instance and lane. They are free again when this is dropped: keep it until the
/// last lane has ended.
#[derive(Debug, Default)]
pub struct HeldLeases {
    instances: BTreeMap<(StageId, u32), Vec<CpuLease>>,
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
}

/// Decides by the leases of this moment and takes what was granted.
///
/// # Errors
/// As [`decide`] and [`hold`]. When another process is faster in between, it decides anew, so that the refusal names who holds what
/// (and `--overcommit` finds another way).
pub fn admit(
    plan: &Plan,
    inventory: &Inventory,
    supply: &Supply,
    options: Options,
    folder: &LeaseFolder,
) -> Result<(Grant, HeldLeases), Refusal> {
    /// Losing so often in a row means that others come and go all the time: the user shall know.
    const ATTEMPTS: u32 = 5;
    let mut outrun = Vec::new();
    for _ in 0..ATTEMPTS {
        let held = folder.held_by_anyone().map_err(|error| Refusal { reasons: vec![Reason::Leases(error)] })?;
        let grant = decide(plan, inventory, supply, options, &held)?;
        match hold(&grant, plan, folder) {
            Ok(leases) => return Ok((grant, leases)),
            Err(Refusal { reasons }) if reasons.iter().all(|reason| matches!(reason, Reason::Outrun(_))) => {
                outrun = reasons
            }
            Err(refusal) => return Err(refusal),
        }
    }
    Err(Refusal { reasons: outrun })
}

/// Leases the CPUs of a grant, all or nothing. A grant that leases none does not touch the folder.
///
/// # Errors
/// [`Reason::Outrun`] when they are not free any more; [`Reason::Leases`] when the folder cannot be used.
pub fn hold(grant: &Grant, plan: &Plan, folder: &LeaseFolder) -> Result<HeldLeases, Refusal> {
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
        return Ok(HeldLeases::default());
    }
    let leases = folder.lease_all(&requests, &grant.allowed, grant.cpus_reserved).map_err(|error| {
        let reason = match error {
            ResourceError::Refused(refused) => Reason::Outrun(refused),
            error => Reason::Leases(error),
        };
        Refusal { reasons: vec![reason] }
    })?;
    Ok(HeldLeases { instances: instances.into_iter().zip(leases).collect() })
}
