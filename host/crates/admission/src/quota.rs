use super::cpu_pool::CpuPool;
use super::holders::holders;
use super::{Asker, Reason};
use sage_machine::cgroup::LimitAbove;
use sage_machine::{Claim, Tier, ten_thousandths};
use sage_plan::{CpuRequest, Plan, Stage};

/// A quota of CPU time above this process, and the CPU time requested from it. All amounts are in 1/10,000 of
/// a CPU.
///
/// A leased CPU is not a full CPU if the quota gives less time, because the kernel stops all threads of the
/// group for the rest of each period.
pub(super) struct Quota<'q> {
    pub(super) limit: &'q LimitAbove,
    /// Number of CPUs that the process may use. Threads without a lease use the quota on any of them.
    pub(super) usable: u32,
    /// Leases and shares of this pipeline.
    pub(super) wanted: u64,
    /// Leases and shares of other pipelines.
    pub(super) elsewhere: u64,
}

impl Quota<'_> {
    /// Whether leases and shares exceed the quota. A pipeline without leases and shares takes nothing, so its
    /// quota is never short.
    pub(super) fn is_short(&self) -> bool {
        self.wanted > 0 && self.wanted.saturating_add(self.elsewhere) > self.limit.amount
    }

    /// The effect of the quota on a lease. `None` if the quota is so large that it cannot be used up.
    pub(super) fn of_lease(&self) -> Option<(Tier, String)> {
        let (group, given) = (self.limit.group.display(), ten_thousandths(self.limit.amount));
        if self.is_short() {
            let all = ten_thousandths(self.wanted.saturating_add(self.elsewhere));
            let note = format!(
                "leases and shares come to {all} CPUs, and the quota of the control group {group} gives {given}: \
                 lanes stand still for the rest of each period (--overcommit)"
            );
            return Some((Tier::None, note));
        }
        (self.limit.amount < u64::from(self.usable) * 10_000).then(|| {
            let note = format!(
                "the quota of the control group {group} gives {given} CPUs of time on {}: sources, sinks and \
                 the host's threads take from it too, and when it is used up leased CPUs stand still",
                self.usable
            );
            (Tier::Cooperative, note)
        })
    }

    /// The effect of the quota on a share. A share remains an upper bound.
    pub(super) fn of_share(&self) -> Option<String> {
        self.is_short().then(|| {
            let all = ten_thousandths(self.wanted.saturating_add(self.elsewhere));
            let (group, given) = (self.limit.group.display(), ten_thousandths(self.limit.amount));
            format!(
                "leases and shares come to {all} CPUs, and the quota of the control group {group} gives {given}: \
                 an instance may get less than its share"
            )
        })
    }

    /// Why it speaks against starting.
    pub(super) fn reason(&self, plan: &Plan, pool: &CpuPool<'_>) -> Reason {
        let asks = |stage: &Stage| {
            let each = match stage.resources.num_cpus? {
                CpuRequest::Whole(count) => u64::from(count) * 10_000,
                CpuRequest::Fraction(share) => u64::from(share),
            };
            let asks = each > 0 && stage.kind().is_some();
            asks.then(|| Asker {
                operator: stage.name.clone(),
                instances: stage.parallelism,
                each: ten_thousandths(each),
            })
        };
        let of = |claim: &Claim| claim.amounts.shares;
        let shares = holders(&pool.taken.claims, of, |shares| format!("{} CPUs in shares", ten_thousandths(shares)));
        let leased = pool.held.iter().map(ToString::to_string);
        Reason::Quota {
            wanted: self.wanted,
            free: self.limit.amount.saturating_sub(self.elsewhere),
            limit: self.limit.clone(),
            askers: plan.stages.iter().filter_map(asks).collect(),
            held: leased.chain(shares.iter().map(ToString::to_string)).collect(),
        }
    }
}
