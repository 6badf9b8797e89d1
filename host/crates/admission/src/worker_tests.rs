//! The grants of instances that are processes of their own.

use super::tests::{decide, fraction, machine, memory, operator, pipeline, whole};
use super::*;
use sage_machine::{Amounts, Claim, Holdings, Supply};
use sage_plan::config::TenantCeiling;
use sage_plan::{Kind, Plan, Resources};

const MIB: u64 = 1 << 20;

fn everything() -> KernelLimits {
    KernelLimits {
        memory: true,
        cpu_quota: true,
        cpuset: true,
        pids: true,
        syscall_filter: true,
        place: "cgroup v2 at /sage-host".to_owned(),
    }
}

fn nothing() -> KernelLimits {
    KernelLimits { place: "no control groups".to_owned(), ..KernelLimits::default() }
}

fn workers(kernel: KernelLimits) -> Options {
    let isolation = Isolation::Process(WorkerBounds { kernel, overhead: 24 * MIB, lane_overhead: 2 * MIB, threads: 5 });
    Options { isolation, ..Options::default() }
}

fn granted(plan: &Plan, options: &Options) -> Grant {
    decide(plan, &machine(4), &Supply::default(), options, &Holdings::default()).expect("a grant")
}

/// Effective amount, mechanism, tier, and whether there is a note.
fn row<'g>(grant: &'g Grant, operator: &str, resource: &str) -> (&'g str, &'static str, &'static str, bool) {
    let found = grant.report.rows.iter().find(|row| row.operator == operator && row.resource == resource);
    let row = found.expect("a row");
    (&row.effective, row.mechanism.name(), row.tier.name(), row.note.is_some())
}

#[test]
fn each_limit_is_the_kernels_where_it_works_and_else_says_what_is_left() {
    let plan = pipeline([
        operator("asks", Kind::Map, 1, Resources { memory: Some(64 * MIB), ..fraction(2_500) }),
        operator("leases", Kind::Map, 1, whole(2)),
    ]);
    let grant = granted(&plan, &workers(everything()));
    assert_eq!(row(&grant, "asks", "memory"), ("64MiB, 40MiB for the guest", "cgroup memory.max", "hard", false));
    // The second lane needs 2 MiB more of the worker.
    assert_eq!(row(&grant, "leases", "memory"), ("282MiB, 256MiB for the guest", "cgroup memory.max", "hard", false));
    assert_eq!(row(&grant, "asks", "num_cpus"), ("at most 0.25 of a CPU, 1 lane", "cgroup cpu.max", "hard", false));
    assert_eq!(row(&grant, "leases", "num_cpus"), ("2 CPUs, 2 lanes", "CPU lease, cpuset", "hard", false));
    assert_eq!(row(&grant, "leases", "pids"), ("7 threads", "cgroup pids.max", "hard", false));
    let limits = |stage: &StageGrant| (stage.memory_max, stage.memory_cap, stage.pids_max, stage.cpu_quota);
    assert_eq!(
        grant.stages.iter().map(limits).collect::<Vec<_>>(),
        [
            (None, None, None, None),
            (Some(64 * MIB), Some(40 * MIB), Some(6), Some(2_500)),
            (Some(282 * MIB), Some(256 * MIB), Some(7), None),
            (None, None, None, None),
        ]
    );

    let filter_only = workers(KernelLimits { syscall_filter: true, ..nothing() });
    let grant = granted(&plan, &filter_only);
    assert_eq!(row(&grant, "asks", "memory"), ("64MiB, 40MiB for the guest", "memory limiter", "cooperative", true));
    assert_eq!(row(&grant, "asks", "num_cpus"), ("at most 0.25 of a CPU, 1 lane", "duty cycle", "cooperative", true));
    assert_eq!(row(&grant, "leases", "num_cpus"), ("2 CPUs, 2 lanes", "CPU lease", "hard", false));
    assert_eq!(row(&grant, "asks", "pids"), ("1 process", "syscall filter", "cooperative", false));
    let asks = &grant.stages[1];
    assert_eq!(limits(asks), (None, Some(40 * MIB), None, None));
}

#[test]
fn a_share_below_the_kernels_shortest_run_is_kept_by_the_lane() {
    for (share, quota) in [(9, None), (10, Some(10))] {
        let grant = granted(&pipeline([operator("a", Kind::Map, 1, fraction(share))]), &workers(everything()));
        assert_eq!(grant.stages[1].cpu_quota, quota);
        assert_eq!(row(&grant, "a", "num_cpus").1, if quota.is_some() { "cgroup cpu.max" } else { "duty cycle" });
    }
}

#[test]
fn what_nothing_holds_is_refused_unless_it_is_allowed() {
    let plan = pipeline([operator("a", Kind::Map, 1, Resources::default())]);
    let text = decide(&plan, &machine(4), &Supply::default(), &workers(nothing()), &Holdings::default()).unwrap_err();
    assert_eq!(
        text.to_string(),
        "a worker of operator \"a\" must have at most 6 threads, and this host cannot enforce that\n  \
         found: no control groups\n  hint: give this process a control group with the pids controller, or pass \
         --allow-unenforced to run without"
    );
    let grant = granted(&plan, &Options { allow_unenforced: true, ..workers(nothing()) });
    assert_eq!(row(&grant, "a", "pids"), ("nothing", "nothing", "none", false));
}

#[test]
fn memory_that_a_worker_needs_for_itself_is_refused_with_the_numbers() {
    let plan = |bytes| pipeline([operator("a", Kind::Map, 1, memory(bytes))]);
    for too_small in [MIB, 24 * MIB, 24 * MIB + (64 << 10) - 1] {
        decide(&plan(too_small), &machine(4), &Supply::default(), &workers(everything()), &Holdings::default())
            .expect_err("a refusal");
    }
    let refusal =
        decide(&plan(16 * MIB), &machine(4), &Supply::default(), &workers(everything()), &Holdings::default());
    assert_eq!(
        refusal.unwrap_err().to_string(),
        "operator \"a\" has memory = 16MiB, of which its worker process takes 24MiB for itself\n  \
         hint: raise memory above 24.0MiB, with room for the guest, or run with --isolation thread"
    );
    assert_eq!(granted(&plan(24 * MIB + (64 << 10)), &workers(everything())).stages[1].memory_cap, Some(64 << 10));
}

#[test]
fn the_hosts_copy_of_keyed_state_is_claimed_beside_the_worker_that_has_it() {
    let plan = pipeline([operator("count", Kind::Process, 2, memory(64 * MIB))]);
    let grant = granted(&plan, &workers(everything()));
    let arithmetic = grant.report.arithmetic.as_ref().unwrap();
    assert_eq!((arithmetic.copies, arithmetic.claimed), (2 * 40 * MIB, (2 * (64 + 40) + 24) * MIB));
    assert_eq!((arithmetic.pipeline, grant.memory_max), ((2 * 64 + 24) * MIB, Some((2 * 64 + 24) * MIB)));
    let shown = arithmetic.to_string();
    assert!(shown.contains("instances 128MiB + the pipeline's own 24MiB = pipeline 152MiB\n"), "{shown}");
    assert!(shown.contains("edges 0B + the host's copies of keyed state 80MiB = 232MiB claimed\n"), "{shown}");
    let threads = granted(&plan, &Options::default());
    assert_eq!(threads.report.totals.memory_declared, 128 * MIB);
}

#[test]
fn memory_adds_up_from_lanes_to_the_host() {
    let edges = Resources { object_store_memory: Some(8 * MIB), memory: Some(1 << 30), ..whole(1) };
    let plan =
        pipeline([operator("embed", Kind::Map, 2, edges), operator("small", Kind::Filter, 1, Resources::default())]);
    let blue = TenantCeiling { memory: Some(4 << 30), ..TenantCeiling::default() };
    let mut supply = Supply { memory_reserved: 256 * MIB, ..Supply::default() };
    let options = Options { tenant: "blue".parse().unwrap(), ..workers(everything()) };
    let held = |tenant: &str, bytes| Claim {
        tenant: tenant.to_owned(),
        amounts: Amounts { memory: bytes, memory_at_most: bytes, ..Amounts::default() },
        ..Claim::default()
    };
    let taken = Holdings { claims: vec![held("blue", 1 << 30), held("green", 2 << 30)], ..Holdings::default() };
    let free = decide(&plan, &machine(4), &supply, &options, &taken).unwrap();
    assert!(free.report.to_string().ends_with(
        "  tenant \"blue\" has no ceiling, its others hold 1GiB\n  \
         2.3GiB claimed + all others 3GiB ≤ host 7.7GiB\n"
    ));
    supply.tenants.insert("blue".parse().unwrap(), blue);
    let grant = decide(&plan, &machine(4), &supply, &options, &taken).unwrap();
    assert_eq!(grant.amounts.memory, 2 * (1 << 30) + (16 + 280 + 24) * MIB, "default caps are claimed too");
    insta::assert_snapshot!(grant.report.to_string());
    let json = serde_json::to_value(&grant.report).unwrap();
    assert_eq!(json["arithmetic"]["instances"][0]["lane_caps"], 1000 * MIB);
    assert_eq!(json["arithmetic"]["tenant_ceiling"], 4_u64 << 30);

    supply.memory = Some(4 << 30);
    let text = decide(&plan, &machine(4), &supply, &options, &taken).unwrap_err().to_string();
    assert!(text.starts_with("the pipeline wants 2.3GiB of memory, 1GiB is free\n"), "{text}");
    assert!(text.contains("\"small\": 1 instance × memory = 280MiB by default"), "{text}");
    assert!(text.contains("\n  24MiB for the pipeline's control group beside its instances\n"), "{text}");
    let grant = decide(&plan, &machine(4), &supply, &Options { overcommit: true, ..options }, &taken).unwrap();
    assert!(grant.report.to_string().ends_with("2.3GiB claimed + all others 3GiB > host 4GiB\n"));
}

#[test]
fn threads_have_no_arithmetic_and_no_rows_for_workers() {
    let plan = pipeline([operator("a", Kind::Map, 1, memory(MIB))]);
    let grant = granted(&plan, &Options::default());
    assert!(grant.report.arithmetic.is_none());
    assert!(grant.report.rows.iter().all(|row| row.resource != "pids"));
    assert!(serde_json::to_value(&grant.report).unwrap().get("arithmetic").is_none());
}
