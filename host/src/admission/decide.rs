use super::cpus::{self, Pool};
use super::{Grant, Reason, Refusal, StageGrant, custom, limits, memory};
use crate::plan::{Plan, Stage};
use crate::resources::{HeldCpu, Inventory, Ledger, LedgerRow, Mechanism, Supply, Tier};

/// What the user lets through that would be refused otherwise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// More than there is of what can be counted: CPUs, memory, custom resources. The ledger says what that costs.
    pub overcommit: bool,
    /// What nothing here can enforce. The ledger says "none" to it.
    pub allow_unenforced: bool,
}

/// Decides what each stage of the plan gets on this machine, given the CPUs that are leased at present.
///
/// CPUs go to stages in the plan's order. Memory that is asked for (`memory`, `object_store_memory`) is summed up against
/// the machine's; an instance that asks for none has a cap and no claim. Says nothing of what other programs use.
///
/// # Errors
/// Every reason against it. An operator that does not get its CPUs does not use up any for those after it.
pub fn decide(
    plan: &Plan,
    inventory: &Inventory,
    supply: &Supply,
    options: Options,
    leased_elsewhere: &[HeldCpu],
) -> Result<Grant, Refusal> {
    let mut reasons = Vec::new();
    let pool = Pool::new(inventory, supply, leased_elsewhere);
    let cpus = cpus::decide(plan, &pool, options, &mut reasons);
    let memory = memory::decide(plan, supply, inventory, options, &mut reasons);
    let custom = custom::decide(plan, supply, options, &mut reasons);

    let mut stages = Vec::with_capacity(plan.stages.len());
    let mut rows = Vec::new();
    let parts = cpus.stages.into_iter().zip(memory.stages).zip(custom);
    for (stage, ((cpus, memory), custom)) in plan.stages.iter().zip(parts) {
        rows.extend(cpus.rows);
        rows.extend(memory.rows);
        rows.extend(gpus(stage, options, &mut reasons));
        rows.extend(custom.rows);
        rows.extend(limits::rows(stage));
        stages.push(StageGrant {
            lanes: cpus.lanes,
            cpus: cpus.cpus,
            memory_cap: memory.cap,
            memory_max: None,
            data_bytes: None,
            cpu_quota: None,
            cpuset: false,
            pids_max: None,
            edge_bytes: memory.edge_bytes,
            custom: custom.counted,
        });
    }
    if !reasons.is_empty() {
        return Err(Refusal { reasons });
    }
    let totals = memory.sums.put_into(cpus.totals);
    let ledger = Ledger { pipeline: plan.name.clone(), rows, totals };
    Ok(Grant { stages, ledger, allowed: inventory.allowed.clone(), cpus_reserved: pool.reserved })
}

fn gpus(stage: &Stage, options: Options, reasons: &mut Vec<Reason>) -> Option<LedgerRow> {
    let value = stage.resources.num_gpus.filter(|&value| value > 0)?;
    if !options.allow_unenforced {
        reasons.push(Reason::Gpus { operator: stage.name.clone(), value });
    }
    Some(unenforced(stage, "num_gpus", crate::resources::ten_thousandths(u64::from(value))))
}

/// A row of this stage's instances.
pub(super) fn row(
    stage: &Stage,
    resource: &str,
    requested: Option<String>,
    effective: String,
    (mechanism, tier): (Mechanism, Tier),
) -> LedgerRow {
    LedgerRow {
        operator: stage.name.clone(),
        instances: stage.parallelism,
        resource: resource.to_owned(),
        requested,
        effective,
        mechanism,
        tier,
        note: None,
    }
}

/// A row for what was asked for and is let through without anything behind it.
pub(super) fn unenforced(stage: &Stage, resource: &str, requested: String) -> LedgerRow {
    row(stage, resource, Some(requested), "nothing".to_owned(), (Mechanism::Nothing, Tier::None))
}
