use super::Reason;
use sage_machine::{Mechanism, ReportRow, Tier};

/// A reason for every limit with a tier below hard. An operator that requests no CPU of its own is promised
/// none, so its shared CPUs are no reason.
pub(super) fn reasons(rows: &[ReportRow]) -> impl Iterator<Item = Reason> + '_ {
    let is_promised = |row: &&ReportRow| row.requested.is_some() || row.mechanism != Mechanism::SharedCpus;
    rows.iter().filter(is_promised).filter(|row| row.tier != Tier::Hard).map(|row| Reason::NotHard {
        operator: row.operator.clone(),
        resource: row.resource.clone(),
        effective: row.effective.clone(),
        mechanism: row.mechanism,
        tier: row.tier,
        note: row.note.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::Options;
    use super::super::tests::{STRICT, decide, machine, operator, pipeline, whole};
    use sage_machine::{Holdings, LeasePlace, LeaseScope, Supply, Tier};
    use sage_plan::{Kind, Resources};

    #[test]
    fn a_strict_run_is_refused_for_each_limit_that_is_not_hard_and_for_none_that_nobody_asked_for() {
        let strict = Options { strict: true, ..Options::default() };
        let free = pipeline([operator("a", Kind::Map, 1, Resources::default())]);
        decide(&free, &machine(4), &Supply::default(), &strict, &Holdings::default()).expect("a grant");
        let leases = pipeline([operator("a", Kind::Map, 1, whole(1))]);
        decide(&leases, &machine(4), &Supply::default(), &strict, &Holdings::default()).expect("a grant");
        let place = LeasePlace {
            folder: "/tmp/sage-host-7".into(),
            scope: LeaseScope::User,
            tier: Tier::Cooperative,
            why: Some("runs of other users do not see it".to_owned()),
        };
        let taken = Holdings { place: Some(place), ..Holdings::default() };
        decide(&leases, &machine(4), &Supply::default(), &STRICT, &taken).expect("a grant, without --strict");
        let refusal = decide(&leases, &machine(4), &Supply::default(), &strict, &taken).unwrap_err().to_string();
        assert_eq!(
            refusal,
            "num_cpus of operator \"a\" (1 CPU, 1 lane) is cooperative, by CPU lease, \
             and a strict run takes hard limits only\n  \
             the ledger is in /tmp/sage-host-7, seen by this user only: runs of other users do not see it\n  \
             hint: `sage-host doctor` lists the limits that can be hard here; \
             without --strict the pipeline runs as --explain shows"
        );
    }
}
