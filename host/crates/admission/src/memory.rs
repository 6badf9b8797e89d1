use super::holders::holders;
use super::ledger_row::{row, unenforced};
use super::{Asker, Options, Reason};
use sage_machine::{Claim, Holdings, Inventory, Mechanism, ReportRow, Supply, Tier, Totals};
use sage_plan::{Limits, Plan, Stage};
use sage_text::{exact_size, short_size};

/// The decision about memory and about the bytes on input edges.
pub(super) struct MemoryDecision {
    pub(super) stages: Vec<StageMemory>,
    pub(super) sums: MemorySums,
}

/// The memory of each instance of one stage.
pub(super) struct StageMemory {
    /// Bytes for memories, tables and state.
    pub(super) cap: Option<u64>,
    /// Bytes of the whole instance, if the kernel limits it.
    pub(super) max: Option<u64>,
    pub(super) edge_bytes: u64,
    pub(super) rows: Vec<ReportRow>,
}

/// Sums over the pipeline, in bytes.
#[derive(Default)]
pub(super) struct MemorySums {
    /// Claimed bytes.
    pub(super) declared: u64,
    pub(super) default_caps: u64,
    /// The part of `declared` for instances.
    pub(super) instances: u64,
    /// The part of `declared` that the pipeline's control group may use beside its instances (see [`room`]).
    pub(super) room: u64,
    /// The part of `declared` for input edges.
    pub(super) edges: u64,
    /// The part of `declared` for the host's copies of the keyed state of workers.
    pub(super) copies: u64,
    /// The part of `declared` for the host process itself.
    pub(super) host_process: u64,
    pub(super) available: u64,
    /// Bytes that other pipelines claim.
    pub(super) elsewhere: u64,
    reserved: u64,
}

impl MemorySums {
    /// Bytes that are available to this pipeline.
    fn free(&self) -> u64 {
        self.available.saturating_sub(self.elsewhere)
    }

    /// Bytes that the machine must have for all claims and for the reserve. `None` if this pipeline claims
    /// nothing, or if there is already too little.
    pub(super) fn needed(&self, of_devices: u64) -> Option<u64> {
        let needed = self.declared.saturating_add(self.elsewhere).saturating_add(self.reserved);
        (self.declared > 0 && self.declared <= self.free()).then(|| needed.saturating_add(of_devices))
    }

    /// The totals of the enforcement report with these sums.
    pub(super) fn put_into(&self, totals: Totals) -> Totals {
        Totals {
            memory_declared: self.declared,
            memory_default_caps: self.default_caps,
            memory_elsewhere: self.elsewhere,
            memory_available: self.available,
            memory_reserved: self.reserved,
            ..totals
        }
    }
}

/// Largest size of a linear memory of a 32-bit component.
const LINEAR_MEMORY: u64 = 4 << 30;

/// The size of a page of WebAssembly memory. A smaller cap allows no memory at all.
const PAGE: u64 = 64 << 10;

/// The largest memory of an instance: the requested amount, or the default cap plus the overhead of a worker
/// process.
pub(super) fn of_instance(stage: &Stage, options: &Options) -> u64 {
    let overhead = options.isolation.worker().map_or(0, |worker| worker.overhead_of(stage));
    stage.resources.memory.unwrap_or(Limits::DEFAULT_MEMORY.saturating_add(overhead))
}

/// The largest size of the host's copy of an instance's keyed state. The copy restores the state into a new
/// worker after a worker dies. Its limit is the limit of the guests.
fn copy_of_state(stage: &Stage, options: &Options) -> Option<u64> {
    let worker = options.isolation.worker().filter(|_| stage.keeps_state())?;
    Some(of_instance(stage, options).saturating_sub(worker.overhead_of(stage)))
}

/// Bytes that the kernel allows to a pipeline's control group beside its instances. The room covers the
/// kernel's own memory for the group, and a worker that has ended and is replaced before all of its memory is
/// freed.
fn room(plan: &Plan, options: &Options) -> u64 {
    let has_workers = plan.stages.iter().any(|stage| stage.kind().is_some());
    options.isolation.worker().filter(|worker| worker.kernel.memory && has_workers).map_or(0, |worker| worker.overhead)
}

/// Sums up the requests of this pipeline and the claims of other pipelines. `of_devices` is the memory for
/// models on CPU devices.
///
/// With threads, the cap of an instance that requests no memory is not a claim. Otherwise a hundred small
/// operators would be refused for memory that they never touch. With processes the cap is a claim: if the
/// kernel's limits of instances added up to more than the limits above them, an instance could be killed
/// below its own limit.
pub(super) fn decide(
    plan: &Plan,
    supply: &Supply,
    (inventory, of_devices): (&Inventory, u64),
    options: &Options,
    taken: &Holdings,
    reasons: &mut Vec<Reason>,
) -> MemoryDecision {
    let of_others = |claim: &Claim| claim.amounts.memory;
    let is_process = options.isolation.worker().is_some();
    let left = Inventory { memory: inventory.memory.saturating_sub(of_devices), ..inventory.clone() };
    let mut sums = MemorySums {
        available: supply.memory_given(&left),
        elsewhere: taken.sum(of_others),
        reserved: supply.memory_reserved.min(inventory.memory),
        ..MemorySums::default()
    };
    let mut askers = Vec::new();
    for stage in &plan.stages {
        let instances = u64::from(stage.parallelism);
        let mut ask = |resource: &str, each: u64, why: &str| {
            let all = each.saturating_mul(instances);
            sums.declared = sums.declared.saturating_add(all);
            let each = format!("{resource} = {}{why}", exact_size(each));
            askers.push(Asker { operator: stage.name.clone(), instances: stage.parallelism, each });
            all
        };
        if stage.kind().is_some() {
            let each = of_instance(stage, options);
            let all = match stage.resources.memory {
                Some(_) => ask("memory", each, ""),
                None if is_process => ask("memory", each, " by default"),
                None => {
                    sums.default_caps = sums.default_caps.saturating_add(each.saturating_mul(instances));
                    0
                }
            };
            sums.instances = sums.instances.saturating_add(all);
        }
        if let Some(each) = copy_of_state(stage, options) {
            let all = ask("the host's copy of its keyed state", each, "");
            sums.copies = sums.copies.saturating_add(all);
        }
        if let Some(each) = stage.resources.object_store_memory.filter(|_| !stage.inputs.is_empty()) {
            let all = ask("object_store_memory", each, "");
            sums.edges = sums.edges.saturating_add(all);
        }
    }
    sums.room = room(plan, options);
    sums.host_process = options.host_process;
    if options.host_process > 0 {
        let each = format!("memory = {}", exact_size(options.host_process));
        askers.push(Asker { operator: "the process of the job".to_owned(), instances: 1, each });
    }
    sums.declared = sums.declared.saturating_add(sums.room).saturating_add(sums.host_process);
    let free = sums.free();
    if sums.declared > free && !options.overcommit {
        let MemorySums { declared: wanted, available, reserved, room, .. } = sums;
        let held = holders(&taken.claims, of_others, short_size);
        let most = supply.memory;
        reasons.push(Reason::Memory { wanted, free, available, most, reserved, of_devices, room, askers, held });
    }
    let stages = plan.stages.iter().map(|stage| {
        let mut rows = Vec::new();
        let (cap, max) = cap(stage, &sums, options, &mut rows, reasons);
        let edge_bytes = edge_bytes(plan, stage, options, &mut rows, reasons);
        StageMemory { cap, max, edge_bytes, rows }
    });
    MemoryDecision { stages: stages.collect(), sums }
}

fn cap(
    stage: &Stage,
    sums: &MemorySums,
    options: &Options,
    rows: &mut Vec<ReportRow>,
    reasons: &mut Vec<Reason>,
) -> (Option<u64>, Option<u64>) {
    let asked = stage.resources.memory;
    if stage.kind().is_none() {
        if let Some(asked) = asked {
            if !options.allow_unenforced {
                let value = exact_size(asked);
                reasons.push(Reason::BuiltIn { stage: stage.name.clone(), resource: "memory", value });
            }
            rows.push(unenforced(stage, "memory", exact_size(asked)));
        }
        return (None, None);
    }
    let whole = of_instance(stage, options);
    let overhead = options.isolation.worker().map_or(0, |worker| worker.overhead_of(stage));
    let cap = whole.saturating_sub(overhead);
    if cap < PAGE {
        let least = overhead.saturating_add(PAGE);
        reasons.push(Reason::TooSmall { operator: stage.name.clone(), memory: whole, overhead, least });
    }
    let mut notes = Vec::new();
    if cap > LINEAR_MEMORY {
        notes.push(format!("a single linear memory ends at {}, whatever the cap", short_size(LINEAR_MEMORY)));
    }
    let is_claimed = asked.is_some() || options.isolation.worker().is_some();
    if is_claimed && sums.declared > sums.free() {
        let (declared, free) = (short_size(sums.declared), short_size(sums.free()));
        let there = if sums.elsewhere == 0 { "there" } else { "free" };
        notes.push(format!(
            "{declared} are asked for and {free} are {there}: memory may run out below the caps (--overcommit)"
        ));
    }
    let (effective, how, max) = match options.isolation.worker() {
        None => (exact_size(cap), (Mechanism::MemoryLimiter, Tier::Hard), None),
        Some(worker) => {
            let effective = format!("{}, {} for the guest", exact_size(whole), short_size(cap));
            if worker.kernel.memory {
                (effective, (Mechanism::CgroupMemory, Tier::Hard), Some(whole))
            } else {
                notes.push(
                    "no memory limit of the kernel here: the limiter holds the guest, \
                     but nothing holds the worker around it"
                        .to_owned(),
                );
                (effective, (Mechanism::MemoryLimiter, Tier::Cooperative), None)
            }
        }
    };
    let note = (!notes.is_empty()).then(|| notes.join("; "));
    rows.push(ReportRow { note, ..row(stage, "memory", asked.map(exact_size), effective, how) });
    (Some(cap), max)
}

fn edge_bytes(
    plan: &Plan,
    stage: &Stage,
    options: &Options,
    rows: &mut Vec<ReportRow>,
    reasons: &mut Vec<Reason>,
) -> u64 {
    let asked = stage.resources.object_store_memory;
    let credit = asked.unwrap_or(Limits::DEFAULT_EDGE_BYTES);
    if stage.inputs.is_empty() {
        if let Some(value) = asked {
            if !options.allow_unenforced {
                reasons.push(Reason::NoEdge { operator: stage.name.clone(), value });
            }
            rows.push(unenforced(stage, "object_store_memory", exact_size(value)));
        }
        return credit;
    }
    let senders = stage.inputs.iter().filter_map(|&id| plan.stages.get(plan.edges.get(id.0)?.from.0));
    let largest = senders.map(|sender| sender.limits.record_bytes).max().unwrap_or(0);
    let note = (largest > credit).then(|| {
        let sent = short_size(largest);
        format!("its senders may send records of up to {sent}: one that does not fit here fails with record-too-large")
    });
    let how = (Mechanism::ByteCredit, Tier::Hard);
    rows.push(ReportRow { note, ..row(stage, "object_store_memory", asked.map(exact_size), exact_size(credit), how) });
    credit
}
