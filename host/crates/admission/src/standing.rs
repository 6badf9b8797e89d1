use super::{Grant, lease_place};
use sage_machine::{Astray, CpuSet, HeldCpu, Inventory, Mechanism, ReportRow, Tier, ten_thousandths};
use sage_text::short_size;

/// What surrounds a run now.
#[derive(Debug, Clone)]
pub struct Observed {
    /// The present amounts of the machine and of the control groups above. `None` if they cannot be read.
    pub inventory: Option<Inventory>,
    /// The CPUs that are leased for this run.
    pub leased: CpuSet,
    /// The threads that do not run on the CPUs that were leased for them.
    pub astray: Vec<Astray>,
    /// Leased CPUs that were given to another run in the meantime, each with the operator and the instance of
    /// the lost lease.
    pub taken: Vec<(String, u32, HeldCpu)>,
    /// The reason why this run's holdings are missing in the ledger. `None` if they are present.
    pub not_in_ledger: Option<String>,
}

/// A limit that no longer holds at the tier that the enforcement report states.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// The operator.
    pub operator: String,
    /// The instance, if the loss concerns a single instance.
    pub instance: u32,
    /// The resource or limit.
    pub resource: String,
    /// The present tier.
    pub tier: Tier,
    /// A description of the event, with its numbers.
    pub message: String,
}

/// The limits of a grant that hold less firmly in the present environment than its enforcement report states.
///
/// The function is pure, like [`super::decide`]. Every call reports a loss again as long as the loss lasts.
#[must_use]
pub fn losses(grant: &Grant, now: &Observed) -> Vec<Loss> {
    let mut losses = Vec::new();
    for astray in &now.astray {
        losses.push(Loss {
            operator: astray.operator.clone(),
            instance: astray.instance,
            resource: "num_cpus".to_owned(),
            tier: Tier::None,
            message: format!(
                "its lane on leased CPU {} may run on CPU {} now: a cpuset above was changed, \
                 another program moved the thread, or the CPU is offline",
                astray.wanted, astray.found
            ),
        });
    }
    for (operator, instance, taken) in &now.taken {
        losses.push(Loss {
            operator: operator.clone(),
            instance: *instance,
            resource: "num_cpus".to_owned(),
            tier: Tier::None,
            message: format!("its lease was deleted, and the CPU was given to another run: {taken}"),
        });
    }
    if let Some(why) = &now.not_in_ledger {
        let rows = grant.report.rows.iter().filter(|row| lease_place::stands_in_the_ledger(row.mechanism));
        losses.extend(rows.map(|row| loss(row, Tier::Cooperative, format!("it is missing in the ledger: {why}"))));
    }
    if let Some(inventory) = &now.inventory {
        of_shared_cpus(grant, inventory, &now.leased, &mut losses);
        of_quota(grant, inventory, &mut losses);
        of_memory(grant, inventory, &mut losses);
    }
    losses
}

/// If no CPU is left without a lease, threads without a lease run on leased CPUs.
fn of_shared_cpus(grant: &Grant, now: &Inventory, leased: &CpuSet, losses: &mut Vec<Loss>) {
    if leased.is_empty() || !now.allowed.both(&grant.allowed).without(leased).is_empty() {
        return;
    }
    for row in grant.report.rows.iter().filter(|row| is_lease(row)) {
        let message = format!(
            "the process may use CPU {} only now, and no other is left: \
             sources, sinks and the host's threads run on leased CPUs too",
            now.allowed
        );
        losses.push(loss(row, Tier::Cooperative, message));
    }
}

fn is_lease(row: &ReportRow) -> bool {
    matches!(row.mechanism, Mechanism::CpuLease | Mechanism::CpuLeaseCpuset)
}

fn of_quota(grant: &Grant, now: &Inventory, losses: &mut Vec<Loss>) {
    let (Some(quota), Some(needed)) = (&now.quota, grant.needs.cpu_time) else { return };
    let (given, group) = (ten_thousandths(quota.amount), quota.group.display());
    let is_short = quota.amount < needed;
    if !is_short && quota.amount >= u64::from(grant.needs.usable) * 10_000 {
        return;
    }
    for row in &grant.report.rows {
        let is_share = matches!(row.mechanism, Mechanism::DutyCycle | Mechanism::CgroupQuota);
        let tier = match (is_lease(row), is_share, is_short) {
            (true, _, true) => Tier::None,
            (true, _, false) | (_, true, true) => Tier::Cooperative,
            _ => continue,
        };
        let needed = ten_thousandths(needed);
        let message = if is_short {
            format!(
                "the quota of the control group {group} gives {given} CPUs of time now, \
                 leases and shares come to {needed}"
            )
        } else {
            format!(
                "the quota of the control group {group} gives {given} CPUs of time now on {}: \
                 threads without a lease take from it too",
                grant.needs.usable
            )
        };
        losses.push(loss(row, tier, message));
    }
}

fn of_memory(grant: &Grant, now: &Inventory, losses: &mut Vec<Loss>) {
    let Some(needed) = grant.needs.memory.filter(|needed| now.memory < *needed) else { return };
    for row in grant.report.rows.iter().filter(|row| row.resource == "memory") {
        let (given, needed) = (short_size(now.memory), short_size(needed));
        let message = format!(
            "the control groups above give {given} of memory now, promises and reserves come to {needed}: \
             memory may run out below the caps"
        );
        losses.push(loss(row, Tier::Cooperative, message));
    }
}

fn loss(row: &ReportRow, tier: Tier, message: String) -> Loss {
    Loss { operator: row.operator.clone(), instance: 0, resource: row.resource.clone(), tier, message }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{OVERCOMMIT, STRICT, decide, fraction, licences, machine, operator, pipeline, whole};
    use super::*;
    use sage_machine::cgroup::LimitAbove;
    use sage_machine::{HeldBy, Holdings, Supply};
    use sage_plan::{Kind, Plan, Resources};

    fn plan() -> Plan {
        let leases = Resources { memory: Some(1 << 30), ..whole(1) };
        let custom = Resources { custom: licences(10_000).custom, ..Resources::default() };
        pipeline([
            operator("leases", Kind::Map, 1, leases),
            operator("shares", Kind::Map, 1, fraction(5_000)),
            operator("licensed", Kind::Map, 1, custom),
        ])
    }

    fn supply() -> Supply {
        Supply { custom: [("licence".to_owned(), 10_000)].into(), memory_reserved: 256 << 20, ..Supply::default() }
    }

    fn granted(options: &super::super::Options, inventory: &Inventory) -> Grant {
        decide(&plan(), inventory, &supply(), options, &Holdings::default()).unwrap()
    }

    fn nothing() -> Observed {
        Observed {
            inventory: None,
            leased: [3].into_iter().collect(),
            astray: Vec::new(),
            taken: Vec::new(),
            not_in_ledger: None,
        }
    }

    fn with(quota: Option<u64>, memory: u64) -> Observed {
        let quota = quota.map(|amount| LimitAbove { amount, group: "/sys/fs/cgroup/x".into() });
        Observed { inventory: Some(Inventory { quota, memory, ..machine(4) }), ..nothing() }
    }

    fn on(cpus: &[u32]) -> Observed {
        let allowed = cpus.iter().copied().collect();
        Observed { inventory: Some(Inventory { allowed, ..machine(4) }), ..nothing() }
    }

    /// Operator, resource and tier of each loss.
    fn lost(grant: &Grant, now: &Observed) -> Vec<(String, String, &'static str)> {
        losses(grant, now).into_iter().map(|loss| (loss.operator, loss.resource, loss.tier.name())).collect()
    }

    fn told(expected: &[(&str, &str, &'static str)]) -> Vec<(String, String, &'static str)> {
        expected
            .iter()
            .map(|(operator, resource, tier)| ((*operator).to_owned(), (*resource).to_owned(), *tier))
            .collect()
    }

    #[test]
    fn what_surrounds_a_run_and_falls_takes_the_tier_of_what_relied_on_it() {
        let grant = granted(&STRICT, &machine(4));
        let needed = (1 << 30) + (256 << 20);
        for (what, now, expected) in [
            ("nothing was seen", nothing(), &[][..]),
            ("all is as it was", with(None, 8 << 30), &[]),
            ("a quota that nobody can use up", with(Some(40_000), needed), &[]),
            ("one that others can use up", with(Some(39_999), needed), &[("leases", "num_cpus", "cooperative")]),
            ("one that is just enough", with(Some(15_000), needed), &[("leases", "num_cpus", "cooperative")]),
            (
                "one that is too little",
                with(Some(14_999), needed),
                &[("leases", "num_cpus", "none"), ("shares", "num_cpus", "cooperative")],
            ),
            ("a cpuset that leaves only the leased CPU", on(&[3]), &[("leases", "num_cpus", "cooperative")]),
            ("a cpuset that leaves one beside it", on(&[1, 3]), &[]),
            (
                "less memory than is promised and kept",
                with(None, needed - 1),
                &[
                    ("leases", "memory", "cooperative"),
                    ("shares", "memory", "cooperative"),
                    ("licensed", "memory", "cooperative"),
                ],
            ),
            (
                "a folder that cannot be used",
                Observed { not_in_ledger: Some("gone".to_owned()), ..nothing() },
                &[("leases", "num_cpus", "cooperative"), ("licensed", "licence", "cooperative")],
            ),
        ] {
            assert_eq!(lost(&grant, &now), told(expected), "{what}");
        }
    }

    #[test]
    fn a_lane_that_is_moved_and_a_cpu_that_somebody_else_was_given_are_told_with_the_numbers() {
        let grant = granted(&STRICT, &machine(4));
        let one = |cpu: u32| -> CpuSet { [cpu].into_iter().collect() };
        let astray = Astray { operator: "leases".to_owned(), instance: 0, wanted: one(3), found: one(0) };
        let held = HeldCpu { cpu: 3, holder: None, by: HeldBy::Lock(None) };
        let taken = vec![("leases".to_owned(), 0, held)];
        let losses = losses(&grant, &Observed { astray: vec![astray], taken, ..nothing() });
        assert!(losses.iter().all(|loss| loss.tier == Tier::None && loss.resource == "num_cpus"));
        assert!(losses[0].message.starts_with("its lane on leased CPU 3 may run on CPU 0 now: a cpuset above"));
        assert!(losses[1].message.ends_with("CPU 3 is leased by a process that left no name"), "{losses:?}");
    }

    #[test]
    fn what_was_not_there_from_the_start_cannot_be_lost() {
        let little = Inventory { memory: 512 << 20, ..machine(4) };
        let grant = granted(&OVERCOMMIT, &little);
        assert_eq!(grant.needs.memory, None);
        assert_eq!(lost(&grant, &with(None, 256 << 20)), []);
        let nothing_asked = pipeline([operator("a", Kind::Map, 1, Resources::default())]);
        let grant = decide(&nothing_asked, &machine(4), &supply(), &STRICT, &Holdings::default()).unwrap();
        assert_eq!((grant.needs.memory, grant.needs.cpu_time), (None, None));
        assert_eq!(lost(&grant, &with(Some(1), 1)), []);
    }
}
