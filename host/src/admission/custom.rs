use std::collections::BTreeMap;

use super::decide::{row, unenforced};
use super::{Asker, Options, Reason};
use crate::plan::{Plan, Stage};
use crate::resources::{LedgerRow, Mechanism, Supply, Tier, ten_thousandths};

/// What one instance of a stage gets of custom resources.
#[derive(Default)]
pub(super) struct StageCustom {
    /// What was counted as its own, in 1/10,000.
    pub(super) counted: BTreeMap<String, u64>,
    pub(super) rows: Vec<LedgerRow>,
}

/// Counts what all instances ask for against what the host declares. Counting is all there is to a resource of which nobody here
/// knows what it is: it bounds how many instances start, in this process, and nothing they do.
pub(super) fn decide(plan: &Plan, supply: &Supply, options: Options, reasons: &mut Vec<Reason>) -> Vec<StageCustom> {
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
    for (name, (wanted, askers)) in wanted {
        let declared = supply.custom.get(name).copied().unwrap_or(0);
        if wanted > declared {
            short.insert(name, (wanted, declared));
            if !options.overcommit {
                reasons.push(Reason::Custom { resource: name.to_owned(), wanted, declared, askers });
            }
        }
    }
    plan.stages.iter().map(|stage| of_stage(stage, supply, &short)).collect()
}

/// What a stage asks for; nothing is not asked for.
fn asks(stage: &Stage) -> impl Iterator<Item = (&str, u64)> {
    stage.resources.custom.iter().filter(|(_, each)| **each > 0).map(|(name, each)| (name.as_str(), *each))
}

fn of_stage(stage: &Stage, supply: &Supply, short: &BTreeMap<&str, (u64, u64)>) -> StageCustom {
    let mut decided = StageCustom::default();
    for (name, each) in asks(stage) {
        let requested = ten_thousandths(each);
        if !supply.custom.contains_key(name) {
            decided.rows.push(unenforced(stage, name, requested));
            continue;
        }
        decided.counted.insert(name.to_owned(), each);
        let (tier, note) = match short.get(name) {
            Some((wanted, declared)) => {
                let (wanted, declared) = (ten_thousandths(*wanted), ten_thousandths(*declared));
                (
                    Tier::None,
                    Some(format!("{wanted} of {name} are asked for and {declared} are declared (--overcommit)")),
                )
            }
            None => (Tier::Hard, None),
        };
        let counted = row(stage, name, Some(requested.clone()), requested, (Mechanism::Count, tier));
        decided.rows.push(LedgerRow { note, ..counted });
    }
    decided
}
