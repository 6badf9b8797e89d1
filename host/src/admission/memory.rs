use super::decide::{row, unenforced};
use super::{Asker, Options, Reason};
use crate::plan::{Limits, Plan, Stage};
use crate::resources::{Inventory, LedgerRow, Mechanism, Supply, Tier, Totals, bytes};

/// What was decided about memory and the bytes on input edges.
pub(super) struct MemoryDecision {
    pub(super) stages: Vec<StageMemory>,
    pub(super) sums: MemorySums,
}

/// What one instance of a stage gets.
pub(super) struct StageMemory {
    pub(super) cap: Option<u64>,
    pub(super) edge_bytes: u64,
    pub(super) rows: Vec<LedgerRow>,
}

/// What the pipeline comes to.
#[derive(Default)]
pub(super) struct MemorySums {
    declared: u64,
    default_caps: u64,
    available: u64,
    reserved: u64,
}

impl MemorySums {
    /// The ledger's totals with these sums in it.
    pub(super) fn put_into(self, totals: Totals) -> Totals {
        Totals {
            memory_declared: self.declared,
            memory_default_caps: self.default_caps,
            memory_available: self.available,
            memory_reserved: self.reserved,
            ..totals
        }
    }
}

/// One linear memory of a 32-bit component.
const LINEAR_MEMORY: u64 = 4 << 30;

/// Sums up what is asked for. What a cap allows to instances that asked for nothing is no claim: a hundred small
/// operators would be refused for memory that they never touch.
pub(super) fn decide(
    plan: &Plan,
    supply: &Supply,
    inventory: &Inventory,
    options: Options,
    reasons: &mut Vec<Reason>,
) -> MemoryDecision {
    let mut sums = MemorySums {
        available: supply.memory_given(inventory),
        reserved: supply.memory_reserved.min(inventory.memory),
        ..MemorySums::default()
    };
    let mut askers = Vec::new();
    for stage in &plan.stages {
        let asks = [
            ("memory", stage.resources.memory.filter(|_| stage.kind().is_some())),
            ("object_store_memory", stage.resources.object_store_memory.filter(|_| !stage.inputs.is_empty())),
        ];
        for (resource, each) in asks {
            let Some(each) = each else { continue };
            sums.declared = sums.declared.saturating_add(each.saturating_mul(u64::from(stage.parallelism)));
            let each = format!("{resource} = {}", bytes(each));
            askers.push(Asker { operator: stage.name.clone(), instances: stage.parallelism, each });
        }
        if stage.kind().is_some() && stage.resources.memory.is_none() {
            let caps = Limits::DEFAULT_MEMORY.saturating_mul(u64::from(stage.parallelism));
            sums.default_caps = sums.default_caps.saturating_add(caps);
        }
    }
    let too_much = sums.declared > sums.available;
    if too_much && !options.overcommit {
        let MemorySums { declared: wanted, available, reserved, .. } = sums;
        reasons.push(Reason::Memory { wanted, available, reserved, askers });
    }
    let stages = plan.stages.iter().map(|stage| {
        let mut rows = Vec::new();
        let cap = cap(stage, &sums, options, &mut rows, reasons);
        let edge_bytes = edge_bytes(plan, stage, options, &mut rows, reasons);
        StageMemory { cap, edge_bytes, rows }
    });
    MemoryDecision { stages: stages.collect(), sums }
}

fn cap(
    stage: &Stage,
    sums: &MemorySums,
    options: Options,
    rows: &mut Vec<LedgerRow>,
    reasons: &mut Vec<Reason>,
) -> Option<u64> {
    let asked = stage.resources.memory;
    if stage.kind().is_none() {
        if let Some(asked) = asked {
            if !options.allow_unenforced {
                let value = bytes(asked);
                reasons.push(Reason::BuiltIn { stage: stage.name.clone(), resource: "memory", value });
            }
            rows.push(unenforced(stage, "memory", bytes(asked)));
        }
        return None;
    }
    let cap = asked.unwrap_or(Limits::DEFAULT_MEMORY);
    let mut notes = Vec::new();
    if cap > LINEAR_MEMORY {
        notes.push(format!("a single linear memory ends at {}, whatever the cap", bytes(LINEAR_MEMORY)));
    }
    if asked.is_some() && sums.declared > sums.available {
        let (declared, available) = (bytes(sums.declared), bytes(sums.available));
        notes.push(format!(
            "{declared} are asked for and {available} are there: memory may run out below the caps (--overcommit)"
        ));
    }
    let note = (!notes.is_empty()).then(|| notes.join("; "));
    let how = (Mechanism::MemoryLimiter, Tier::Hard);
    rows.push(LedgerRow { note, ..row(stage, "memory", asked.map(bytes), bytes(cap), how) });
    Some(cap)
}

fn edge_bytes(
    plan: &Plan,
    stage: &Stage,
    options: Options,
    rows: &mut Vec<LedgerRow>,
    reasons: &mut Vec<Reason>,
) -> u64 {
    let asked = stage.resources.object_store_memory;
    let credit = asked.unwrap_or(Limits::DEFAULT_EDGE_BYTES);
    if stage.inputs.is_empty() {
        if let Some(value) = asked {
            if !options.allow_unenforced {
                reasons.push(Reason::NoEdge { operator: stage.name.clone(), value });
            }
            rows.push(unenforced(stage, "object_store_memory", bytes(value)));
        }
        return credit;
    }
    let senders = stage.inputs.iter().filter_map(|&id| plan.stages.get(plan.edges.get(id.0)?.from.0));
    let largest = senders.map(|sender| sender.limits.record_bytes).max().unwrap_or(0);
    let note = (largest > credit).then(|| {
        let sent = bytes(largest);
        format!("its senders may send records of up to {sent}: one that does not fit here fails with record-too-large")
    });
    let how = (Mechanism::ByteCredit, Tier::Hard);
    rows.push(LedgerRow { note, ..row(stage, "object_store_memory", asked.map(bytes), bytes(credit), how) });
    credit
}
