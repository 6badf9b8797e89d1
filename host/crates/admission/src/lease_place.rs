use sage_machine::{LeasePlace, Mechanism, ReportRow, Tier};

/// Lowers the tier of every resource that depends on a weak ledger. If others can remove leases or cannot see
/// them, a leased CPU, a device and a counted resource may also be used by another run.
pub(super) fn lower(rows: &mut [ReportRow], place: Option<&LeasePlace>) {
    let Some(place) = place.filter(|place| place.tier != Tier::Hard) else { return };
    let why = place.why.as_deref().unwrap_or_default();
    let note = format!("the ledger is in {}, {}: {why}", place.folder.display(), place.scope.meaning());
    for row in rows.iter_mut().filter(|row| stands_in_the_ledger(row.mechanism) && row.tier < place.tier) {
        row.tier = place.tier;
        row.note = Some(row.note.take().map_or_else(|| note.clone(), |other| format!("{other}; {note}")));
    }
}

pub(super) fn stands_in_the_ledger(mechanism: Mechanism) -> bool {
    matches!(mechanism, Mechanism::CpuLease | Mechanism::CpuLeaseCpuset | Mechanism::DeviceLease | Mechanism::Count)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{STRICT, decide, licences, machine, operator, pipeline, whole};
    use super::*;
    use sage_machine::{Holdings, LeaseScope, Supply};
    use sage_plan::{Kind, Resources};

    #[test]
    fn what_stands_in_a_ledger_that_others_can_change_is_cooperative_and_says_where() {
        let resources = Resources { memory: Some(1 << 20), ..whole(1) };
        let plan = pipeline([operator("a", Kind::Map, 1, Resources { custom: licences(10_000).custom, ..resources })]);
        let supply = Supply { custom: [("licence".to_owned(), 10_000)].into(), ..Supply::default() };
        let place = |tier, why: Option<&str>| LeasePlace {
            folder: "/run/lock/sage-host".into(),
            scope: LeaseScope::Machine,
            tier,
            why: why.map(str::to_owned),
        };
        for (place, tier) in [
            (place(Tier::Hard, None), Tier::Hard),
            (place(Tier::Cooperative, Some("other users can write to it")), Tier::Cooperative),
        ] {
            let taken = Holdings { place: Some(place.clone()), ..Holdings::default() };
            let grant = decide(&plan, &machine(2), &supply, &STRICT, &taken).unwrap();
            let row = |resource: &str| {
                let mut rows = grant.report.rows.iter();
                rows.find(|row| row.operator == "a" && row.resource == resource).unwrap()
            };
            for resource in ["num_cpus", "licence"] {
                assert_eq!(row(resource).tier, tier, "{resource}");
                let says =
                    row(resource).note.as_ref().is_some_and(|note| note.contains("/run/lock/sage-host, seen by all"));
                assert_eq!(says, tier != Tier::Hard, "{resource}");
            }
            assert_eq!(row("memory").tier, Tier::Hard, "the limiter asks nobody");
            assert!(grant.report.to_string().contains(&format!("\n{place}\n")), "{}", grant.report);
        }
    }
}
