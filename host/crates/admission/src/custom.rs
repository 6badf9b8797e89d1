use std::collections::BTreeMap;

use super::holders::holders;
use super::ledger_row::{row, unenforced};
use super::{Asker, Options, Reason};
use sage_machine::{Claim, Holdings, Mechanism, ReportRow, Supply, Tier, ten_thousandths};
use sage_plan::{Plan, Stage};

/// The custom resources of each instance of one stage.
#[derive(Default)]
pub(super) struct StageCustom {
    /// Amounts that are counted for the instance, in 1/10,000 of a unit.
    pub(super) counted: BTreeMap<String, u64>,
    pub(super) rows: Vec<ReportRow>,
}

/// The decision about the custom resources of all stages.
pub(super) struct CustomDecision {
    pub(super) stages: Vec<StageCustom>,
    /// Sum over the pipeline for each resource, in 1/10,000 of a unit.
    pub(super) counted: BTreeMap<String, u64>,
}

/// Counts the requests of all instances and the claims of other pipelines against the amounts that the host
/// declares.
///
/// The host does not know the meaning of a custom resource, so it can only count. The count bounds how many
/// instances start on this machine; it does not bound their actions.
pub(super) fn decide(
    plan: &Plan,
    supply: &Supply,
    options: &Options,
    taken: &Holdings,
    reasons: &mut Vec<Reason>,
) -> CustomDecision {
    let mut wanted: BTreeMap<&str, (u64, Vec<Asker>)> = BTreeMap::new();
    for (stage, name, each) in
        plan.stages.iter().flat_map(|stage| asks(stage).map(move |(name, each)| (stage, name, each)))
    {
        if supply.custom.contains_key(name) {
            let (sum, askers) = wanted.entry(name).or_default();
            *sum = sum.saturating_add(each.saturating_mul(u64::from(stage.parallelism)));
            let each = ten_thousandths(each);
            askers.push(Asker { operator: stage.name.clone(), instances: stage.parallelism, each });
        } else if !options.allow_unenforced {
            reasons.push(Reason::Undeclared {
                operator: stage.name.clone(),
                resource: name.to_owned(),
                value: each,
                declared: supply.custom.keys().cloned().collect(),
            });
        }
    }
    let mut short = BTreeMap::new();
    let mut counted = BTreeMap::new();
    for (name, (wanted, askers)) in wanted {
        counted.insert(name.to_owned(), wanted);
        let declared = supply.custom.get(name).copied().unwrap_or(0);
        let of = |claim: &Claim| claim.amounts.custom.get(name).copied().unwrap_or(0);
        let free = declared.saturating_sub(taken.sum(of));
        if wanted > free {
            short.insert(name, Short { wanted, free, declared });
            if !options.overcommit {
                let held = holders(&taken.claims, of, |amount| format!("{} of {name}", ten_thousandths(amount)));
                reasons.push(Reason::Custom { resource: name.to_owned(), wanted, free, declared, askers, held });
            }
        }
    }
    CustomDecision { stages: plan.stages.iter().map(|stage| of_stage(stage, supply, &short)).collect(), counted }
}

/// A resource of which there is not enough, in 1/10,000 of a unit.
struct Short {
    wanted: u64,
    free: u64,
    declared: u64,
}

/// The custom resources that a stage requests. An amount of zero is no request.
fn asks(stage: &Stage) -> impl Iterator<Item = (&str, u64)> {
    stage.resources.custom.iter().filter(|(_, each)| **each > 0).map(|(name, each)| (name.as_str(), *each))
}

fn of_stage(stage: &Stage, supply: &Supply, short: &BTreeMap<&str, Short>) -> StageCustom {
    let mut decided = StageCustom::default();
    for (name, each) in asks(stage) {
        let requested = ten_thousandths(each);
        if !supply.custom.contains_key(name) {
            decided.rows.push(unenforced(stage, name, requested));
            continue;
        }
        decided.counted.insert(name.to_owned(), each);
        let (tier, note) = match short.get(name) {
            Some(Short { wanted, free, declared }) => {
                let there = if free == declared { "declared" } else { "free" };
                let (wanted, free) = (ten_thousandths(*wanted), ten_thousandths(*free));
                (Tier::None, Some(format!("{wanted} of {name} are asked for and {free} are {there} (--overcommit)")))
            }
            None => (Tier::Hard, None),
        };
        let counted = row(stage, name, Some(requested.clone()), requested, (Mechanism::Count, tier));
        decided.rows.push(ReportRow { note, ..counted });
    }
    decided
}
