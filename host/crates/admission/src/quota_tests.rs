//! A CPU quota above this process counts, from any source.

use super::tests::{OVERCOMMIT, STRICT, decide, fraction, held, machine, operator, pipeline, whole};
use sage_machine::cgroup::LimitAbove;
use sage_machine::{Holdings, Inventory, Supply, Tier};
use sage_plan::{Kind, Resources};

/// Four CPUs under this quota, in 1/10,000 of a CPU.
fn under(quota: u64) -> Inventory {
    let group = "/sys/fs/cgroup/cpu/docker/ab".into();
    Inventory { quota: Some(LimitAbove { amount: quota, group }), ..machine(4) }
}

/// The tier of an operator with this number of instances, or the text of the refusal.
fn outcome(inventory: &Inventory, instances: u32, resources: Resources, taken: &Holdings) -> Result<Tier, String> {
    let plan = pipeline([operator("a", Kind::Map, instances, resources)]);
    let grant = decide(&plan, inventory, &Supply::default(), &STRICT, taken).map_err(|refusal| refusal.to_string())?;
    Ok(grant.report.rows.iter().find(|row| row.operator == "a" && row.resource == "num_cpus").unwrap().tier)
}

#[test]
fn what_a_quota_above_does_not_give_is_refused_and_what_others_can_use_up_is_not_hard() {
    let nobody = Holdings::default();
    for (quota, instances, resources, taken, expected) in [
        (2_000, 1, whole(1), &nobody, None),
        (9_999, 1, whole(1), &nobody, None),
        (10_000, 1, whole(1), &nobody, Some(Tier::Cooperative)),
        (39_999, 3, whole(1), &nobody, Some(Tier::Cooperative)),
        (29_999, 3, whole(1), &nobody, None),
        (40_000, 3, whole(1), &nobody, Some(Tier::Hard)),
        (10_000, 11, fraction(1_000), &nobody, None),
        (10_000, 10, fraction(1_000), &nobody, Some(Tier::Hard)),
        // Holdings of other pipelines count: another run leased a CPU of this process.
        (20_000, 1, whole(1), &held(&[3]), Some(Tier::Cooperative)),
        (19_999, 1, whole(1), &held(&[3]), None),
        // An operator that requests nothing is promised nothing.
        (1, 5, Resources::default(), &held(&[3]), Some(Tier::None)),
    ] {
        let found = outcome(&under(quota), instances, resources.clone(), taken);
        let what = format!("{instances} × {:?} of {quota}: {found:?}", resources.num_cpus);
        match expected {
            Some(tier) => assert_eq!(found, Ok(tier), "{what}"),
            None => assert!(found.is_err_and(|text| text.starts_with("the pipeline wants ")), "{what}"),
        }
    }
}

#[test]
fn the_refusal_says_wanted_given_by_whom_and_who_holds_the_rest() {
    assert_eq!(
        outcome(&under(15_000), 1, whole(1), &held(&[3])).unwrap_err(),
        "the pipeline wants 1 CPUs of time, \
         the control group /sys/fs/cgroup/cpu/docker/ab gives 1.5, 0.5 of it free\n  \
         \"a\": 1 instance × 1\n  \
         CPU 3 is leased by process 7 (pipeline \"other\", operator \"hog\", instance 0)\n  \
         hint: raise the quota (docker's --cpus, Kubernetes' limits.cpu, systemd's CPUQuota), \
         lower num_cpus or parallelism, or pass --overcommit"
    );
}

#[test]
fn overcommitted_the_ledger_says_that_nothing_holds_it_and_shows_the_quota() {
    let plan = pipeline([operator("a", Kind::Map, 1, whole(1)), operator("b", Kind::Map, 1, fraction(5_000))]);
    let grant = decide(&plan, &under(2_000), &Supply::default(), &OVERCOMMIT, &Holdings::default()).unwrap();
    let row = |name: &str| {
        let rows = &grant.report.rows;
        rows.iter().find(|row| row.operator == name && row.resource == "num_cpus").unwrap().clone()
    };
    let (lease, share) = (row("a"), row("b"));
    assert_eq!(lease.tier, Tier::None);
    assert!(lease.note.unwrap().contains("come to 1.5 CPUs, and the quota of the control group"));
    assert!(share.note.unwrap().contains("may get less than its share"));
    let shown = grant.report.to_string();
    assert!(shown.contains("CPU time: 0.2 CPUs at most, by the quota of the control group /sys/fs/"), "{shown}");
}
