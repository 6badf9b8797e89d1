use super::cpu_pool::CpuPool;
use super::holders::holders;
use super::ledger_row::{row, unenforced};
use super::quota::Quota;
use super::{Asker, Cpus, Isolation, Options, Reason};
use sage_machine::{Claim, CpuShare, Mechanism, ReportRow, Tier, Totals, counted, ten_thousandths};
use sage_plan::{CpuRequest, Kind, Partition, Plan, Stage};

/// What was decided about CPUs.
pub(super) struct CpuDecision {
    pub(super) stages: Vec<StageCpus>,
    pub(super) totals: Totals,
    /// Whole CPUs that the pipeline requests.
    pub(super) whole: u32,
    /// Whole CPUs of `whole` that are not leased, because of `--overcommit`.
    pub(super) unleased: u32,
    /// CPU time of all leases and shares, in 1/10,000 of a CPU. `None` if no CPU time is requested, or if the
    /// quota is too small from the start.
    pub(super) needed: Option<u64>,
}

/// The CPUs and the report rows of each instance of one stage.
pub(super) struct StageCpus {
    pub(super) lanes: u32,
    pub(super) cpus: Cpus,
    pub(super) quota: Option<u32>,
    pub(super) rows: Vec<ReportRow>,
}

/// Gives CPUs to stages in the plan's order.
pub(super) fn decide(plan: &Plan, pool: &CpuPool<'_>, options: &Options, reasons: &mut Vec<Reason>) -> CpuDecision {
    if pool.unheld() == 0 && !pool.allowed.is_empty() && !options.overcommit {
        reasons.push(Reason::NoSharedCpu { allowed: pool.allowed.clone(), held: pool.held.clone() });
    }
    let leasable = pool.unheld().saturating_sub(pool.reserved);
    let mut leased = 0_u32;
    let (mut whole, mut unleased) = (0_u32, 0_u32);
    let mut shares = 0_u64;
    let mut choices = Vec::with_capacity(plan.stages.len());
    for stage in &plan.stages {
        let choice = choose(plan, stage);
        choices.push(match choice {
            (Cpus::Leased, lanes) => {
                let wanted = lanes.saturating_mul(stage.parallelism);
                whole = whole.saturating_add(wanted);
                let free = leasable - leased;
                if wanted <= free {
                    leased += wanted;
                    choice
                } else if options.overcommit {
                    unleased = unleased.saturating_add(wanted);
                    (Cpus::Unpinned, lanes)
                } else {
                    reasons.push(Reason::Cpus {
                        operator: stage.name.clone(),
                        wanted,
                        instances: stage.parallelism,
                        each: lanes,
                        free,
                        allowed: pool.allowed.clone(),
                        not_given: pool.not_given,
                        reserved: pool.reserved,
                        taken: leased,
                        held: pool.held.clone(),
                    });
                    choice
                }
            }
            (Cpus::Share(share), _) => {
                shares = shares.saturating_add(u64::from(share) * u64::from(stage.parallelism));
                choice
            }
            _ => choice,
        });
        if let (None, Some(request)) = (stage.kind(), stage.resources.num_cpus)
            && !options.allow_unenforced
        {
            let value = requested(request);
            reasons.push(Reason::BuiltIn { stage: stage.name.clone(), resource: "num_cpus", value });
        }
    }
    let shared = pool.unheld() - leased;
    let of_others = |claim: &Claim| claim.amounts.shares;
    let elsewhere = pool.taken.sum(of_others);
    // A lease also takes a CPU from the shares of other pipelines. A pipeline without leases and shares takes
    // nothing.
    let all = shares.saturating_add(elsewhere);
    let too_many_shares = all > u64::from(shared) * 10_000 && (shares > 0 || leased > 0);
    if too_many_shares && !options.overcommit {
        let held =
            holders(&pool.taken.claims, of_others, |shares| format!("{} CPUs in shares", ten_thousandths(shares)));
        reasons.push(Reason::Shares { wanted: shares, elsewhere, shared, askers: askers_of_shares(plan), held });
    }
    let quota = pool.quota.map(|limit| Quota {
        limit,
        usable: pool.usable,
        wanted: (u64::from(leased) * 10_000).saturating_add(shares),
        elsewhere: (u64::from(pool.allowed.count() - pool.unheld()) * 10_000).saturating_add(elsewhere),
    });
    if let Some(quota) = quota.as_ref().filter(|quota| quota.is_short() && !options.overcommit) {
        reasons.push(quota.reason(plan, pool));
    }
    let wanted = (u64::from(leased) * 10_000).saturating_add(shares);
    let is_there = quota.as_ref().is_none_or(|quota| !quota.is_short());
    let of_others = (u64::from(pool.allowed.count() - pool.unheld()) * 10_000).saturating_add(elsewhere);
    let needed = (wanted > 0 && is_there).then(|| wanted.saturating_add(of_others));
    let rest = Rest { shared, all, too_many_shares, quota, isolation: &options.isolation };
    let stages = plan.stages.iter().zip(choices);
    CpuDecision {
        stages: stages
            .map(|(stage, (cpus, lanes))| StageCpus {
                lanes,
                cpus,
                quota: match cpus {
                    Cpus::Share(share) if options.isolation.has_quota(share) => Some(share),
                    _ => None,
                },
                rows: rest.rows(stage, cpus, lanes),
            })
            .collect(),
        whole,
        unleased,
        needed,
        totals: Totals {
            cpus_allowed: pool.allowed.clone(),
            cpus_leased: leased,
            cpus_leased_elsewhere: pool.allowed.count() - pool.unheld(),
            cpus_reserved: pool.reserved,
            cpu_quota: pool.quota.cloned(),
            cpus_shared: shared,
            shares_ten_thousandths: shares,
            shares_elsewhere_ten_thousandths: elsewhere,
            memory_declared: 0,
            memory_default_caps: 0,
            memory_elsewhere: 0,
            memory_available: 0,
            memory_reserved: 0,
        },
    }
}

/// The placement of a stage's lanes and the number of lanes of each instance, if there were enough CPUs.
fn choose(plan: &Plan, stage: &Stage) -> (Cpus, u32) {
    match (stage.kind(), stage.resources.num_cpus) {
        (Some(_), Some(CpuRequest::Whole(count))) if count > 0 => {
            (Cpus::Leased, if can_be_split(plan, stage) { count } else { 1 })
        }
        (Some(_), Some(CpuRequest::Fraction(share))) => (Cpus::Share(share), 1),
        _ => (Cpus::Shared, 1),
    }
}

/// Whether an instance can have several lanes. A source and a sink are one sequence. The state of a process
/// operator belongs to the lane that sees all records of a key, and only key-partitioned input determines
/// that lane.
fn can_be_split(plan: &Plan, stage: &Stage) -> bool {
    match stage.kind() {
        Some(Kind::Map | Kind::Filter | Kind::FlatMap | Kind::KeyBy) => true,
        Some(Kind::Process | Kind::Window) => {
            stage.inputs.iter().all(|&id| plan.edges.get(id.0).is_some_and(|edge| edge.partition == Partition::Key))
        }
        Some(Kind::Source | Kind::Sink) | None => false,
    }
}

/// The operators that request shares.
fn askers_of_shares(plan: &Plan) -> Vec<Asker> {
    let asks = |stage: &Stage| match choose(plan, stage) {
        (Cpus::Share(share), _) => Some(Asker {
            operator: stage.name.clone(),
            instances: stage.parallelism,
            each: ten_thousandths(u64::from(share)),
        }),
        _ => None,
    };
    plan.stages.iter().filter_map(asks).collect()
}

/// The CPUs that are left after all leases are granted.
struct Rest<'o> {
    shared: u32,
    /// Shares of all pipelines, in 1/10,000 of a CPU.
    all: u64,
    too_many_shares: bool,
    quota: Option<Quota<'o>>,
    isolation: &'o Isolation,
}

impl Rest<'_> {
    fn rows(&self, stage: &Stage, cpus: Cpus, lanes: u32) -> Vec<ReportRow> {
        let asked = stage.resources.num_cpus;
        if let (None, Some(request)) = (stage.kind(), asked) {
            return vec![unenforced(stage, "num_cpus", requested(request))];
        }
        let nothing_left = self.shared == 0;
        let lanes_shown = counted(lanes, "lane");
        let (effective, how, note) = match cpus {
            Cpus::Leased => {
                let mut notes = Vec::new();
                match (asked, nothing_left) {
                    (Some(CpuRequest::Whole(count)), _) if count > lanes => notes.push(self.unsplit(stage, count)),
                    (_, true) => notes.push(
                        "every allowed CPU is leased: sources, sinks and the host's threads run on leased CPUs too"
                            .to_owned(),
                    ),
                    (_, false) => {}
                }
                let by_quota = self.quota.as_ref().and_then(Quota::of_lease);
                notes.extend(by_quota.as_ref().map(|(_, note)| note.clone()));
                let of_leases = if nothing_left { Tier::Cooperative } else { Tier::Hard };
                let tier = by_quota.map_or(of_leases, |(tier, _)| tier.max(of_leases));
                let note = (!notes.is_empty()).then(|| notes.join("; "));
                let mechanism = match self.isolation.worker() {
                    Some(worker) if worker.kernel.cpuset => Mechanism::CpuLeaseCpuset,
                    _ => Mechanism::CpuLease,
                };
                (format!("{}, {lanes_shown}", counted(lanes, "CPU")), (mechanism, tier), note)
            }
            Cpus::Share(share) => {
                let mut notes = Vec::new();
                let has_quota = self.isolation.has_quota(share);
                let is_worker_free = !has_quota && self.isolation.worker().is_some();
                if is_worker_free {
                    notes.push(
                        "no quota of the kernel here: the guest's calls are held to the share, \
                         the worker's own threads are not"
                            .to_owned(),
                    );
                }
                if !has_quota && share < CpuShare::SMALLEST_EXACT {
                    notes.push(
                        "a share this small is kept to within some milliseconds of any second, not to 10 %".to_owned(),
                    );
                }
                if self.too_many_shares {
                    let sum = ten_thousandths(self.all);
                    notes.push(format!(
                        "shares come to {sum} CPUs on {}: an instance may get less than its share",
                        self.shared
                    ));
                }
                notes.extend(self.quota.as_ref().and_then(Quota::of_share));
                let note = (!notes.is_empty()).then(|| notes.join("; "));
                let effective = format!("at most {} of a CPU, {lanes_shown}", ten_thousandths(u64::from(share)));
                let mechanism = if has_quota { Mechanism::CgroupQuota } else { Mechanism::DutyCycle };
                let tier = if is_worker_free { Tier::Cooperative } else { Tier::Hard };
                (effective, (mechanism, tier), note)
            }
            Cpus::Shared => {
                let note = nothing_left
                    .then(|| "no CPU is left unleased: runs on all allowed CPUs, leased ones too".to_owned());
                (format!("what is free, {lanes_shown}"), (Mechanism::SharedCpus, Tier::None), note)
            }
            Cpus::Unpinned => {
                let note = "there are not enough CPUs to lease: runs unpinned beside everything else (--overcommit)"
                    .to_owned();
                (format!("what is free, {lanes_shown}"), (Mechanism::SharedCpus, Tier::None), Some(note))
            }
        };
        vec![ReportRow { note, ..row(stage, "num_cpus", asked.map(requested), effective, how) }]
    }

    fn unsplit(&self, stage: &Stage, asked: u32) -> String {
        let kind = stage.kind().map_or("source", Kind::name);
        let why = match stage.kind() {
            Some(Kind::Process | Kind::Window) => ", because its input is not partitioned by key",
            _ => "",
        };
        let left = counted(asked - 1, "further CPU");
        let also = if self.shared == 0 {
            "; and every allowed CPU is leased, so the host's threads run there too"
        } else {
            ""
        };
        format!(
            "this {kind} cannot be split over lanes{why}: it keeps one lane and one CPU, \
             the {left} asked for stay free{also}"
        )
    }
}

fn requested(request: CpuRequest) -> String {
    match request {
        CpuRequest::Whole(count) => count.to_string(),
        CpuRequest::Fraction(share) => ten_thousandths(u64::from(share)),
    }
}
