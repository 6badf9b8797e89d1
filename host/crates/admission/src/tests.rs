use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use super::*;
use sage_machine::{HeldBy, HeldCpu, Holder, Holdings, Inventory, Supply};
use sage_models::Devices;
use sage_plan::{
    Capabilities, ComponentSpec, CpuRequest, Edge, EdgeId, GenerateSpec, Kind, Limits, OnError, Partition, Plan, Port,
    Resources, Schemas, SinkSpec, SourceSpec, Stage, StageId, Work,
};
use sage_text::width_of;

/// A stage that requests nothing.
fn stage(name: &str, work: Work) -> Stage {
    Stage {
        name: name.to_owned(),
        work,
        parallelism: 1,
        resources: Resources::default(),
        models: Vec::new(),
        limits: Limits::default(),
        on_error: OnError::Fail,
        passes_files: false,
        retries: 0,
        watermark: None,
        inputs: Vec::new(),
        outputs: Vec::new(),
    }
}

pub(super) fn operator(name: &str, kind: Kind, parallelism: u32, resources: Resources) -> Stage {
    let component = ComponentSpec {
        path: PathBuf::from(format!("{name}.wasm")),
        config: serde_json::json!({}),
        capabilities: Capabilities::default(),
        keeps_state: kind == Kind::Process,
        windows: None,
    };
    Stage { parallelism, resources, ..stage(name, Work::Component(component, kind)) }
}

fn generate() -> Stage {
    let spec = GenerateSpec { count: None, rate: None, payload_bytes: 8, keys: None, seed: 0, times: None };
    stage("numbers", Work::Source(SourceSpec::Generate(spec)))
}

fn discard() -> Stage {
    stage("away", Work::Sink(SinkSpec::Discard))
}

/// A chain of these stages between a source and a sink.
pub(super) fn pipeline(operators: impl IntoIterator<Item = Stage>) -> Plan {
    chain(std::iter::once(generate()).chain(operators).chain([discard()]), Partition::RoundRobin)
}

fn chain(stages: impl IntoIterator<Item = Stage>, partition: Partition) -> Plan {
    let mut stages: Vec<_> = stages.into_iter().collect();
    let mut edges = Vec::new();
    for to in 1..stages.len() {
        let edge = EdgeId(edges.len());
        stages[to - 1].outputs.push(edge);
        stages[to].inputs.push(edge);
        let (from, port, to) = (StageId(to - 1), Port::Main, StageId(to));
        edges.push(Edge { from, port, to, partition, name: None, fields: None, key: None });
    }
    Plan { name: "test".to_owned(), stages, edges, models: Vec::new(), schemas: Schemas::default(), checkpoints: None }
}

pub(super) fn whole(count: u32) -> Resources {
    Resources { num_cpus: Some(CpuRequest::Whole(count)), ..Resources::default() }
}

pub(super) fn fraction(ten_thousandths: u32) -> Resources {
    Resources { num_cpus: Some(CpuRequest::Fraction(ten_thousandths)), ..Resources::default() }
}

pub(super) fn memory(bytes: u64) -> Resources {
    Resources { memory: Some(bytes), ..Resources::default() }
}

pub(super) fn licences(ten_thousandths: u64) -> Resources {
    Resources { custom: BTreeMap::from([("licence".to_owned(), ten_thousandths)]), ..Resources::default() }
}

pub(super) fn machine(cpus: u32) -> Inventory {
    Inventory { allowed: (0..cpus).collect(), memory: 8 << 30, quota: None }
}

pub(super) fn held(cpus: &[u32]) -> Holdings {
    let holder = Holder { pid: 7, pipeline: "other".to_owned(), operator: "hog".to_owned(), instance: 0 };
    let cpus = cpus.iter().map(|&cpu| HeldCpu { cpu, holder: Some(holder.clone()), by: HeldBy::Lock(None) }).collect();
    Holdings { cpus, ..Holdings::default() }
}

/// Decides as on a machine without any device.
pub(super) fn decide(
    plan: &Plan,
    inventory: &Inventory,
    supply: &Supply,
    options: &Options,
    taken: &Holdings,
) -> Result<Grant, Refusal> {
    super::decide(plan, inventory, supply, options, &Devices::default(), taken)
}

pub(super) static STRICT: LazyLock<Options> = LazyLock::new(Options::default);
pub(super) static OVERCOMMIT: LazyLock<Options> = LazyLock::new(|| Options { overcommit: true, ..Options::default() });
pub(super) static UNENFORCED: LazyLock<Options> =
    LazyLock::new(|| Options { allow_unenforced: true, ..Options::default() });

pub(super) fn refusal(plan: &Plan, inventory: &Inventory, supply: &Supply, elsewhere: &[u32]) -> String {
    decide(plan, inventory, supply, &STRICT, &held(elsewhere)).expect_err("a refusal").to_string()
}

/// Lanes and CPUs of the operators, without the source and the sink around them.
fn operators(grant: &Grant) -> Vec<(u32, Cpus)> {
    let inner = &grant.stages[1..grant.stages.len() - 1];
    inner.iter().map(|stage| (stage.lanes, stage.cpus)).collect()
}

#[test]
fn whole_cpus_are_lanes_with_leases_and_everything_else_shares_the_rest() {
    for (what, operators_of_it, elsewhere, expected) in [
        (
            "nothing asked for",
            vec![operator("a", Kind::Map, 3, Resources::default())],
            &[][..],
            vec![(1, Cpus::Shared)],
        ),
        ("whole", vec![operator("a", Kind::Map, 1, whole(3))], &[], vec![(3, Cpus::Leased)]),
        ("instances times lanes", vec![operator("a", Kind::KeyBy, 3, whole(1))], &[], vec![(1, Cpus::Leased)]),
        ("a share", vec![operator("a", Kind::Filter, 2, fraction(2_500))], &[], vec![(1, Cpus::Share(2_500))]),
        (
            "leased and shared side by side",
            vec![operator("a", Kind::Map, 1, whole(2)), operator("b", Kind::FlatMap, 4, fraction(5_000))],
            &[],
            vec![(2, Cpus::Leased), (1, Cpus::Share(5_000))],
        ),
        ("one taken elsewhere", vec![operator("a", Kind::Map, 1, whole(2))], &[3], vec![(2, Cpus::Leased)]),
        (
            "taken where we may not run anyway",
            vec![operator("a", Kind::Map, 1, whole(3))],
            &[9],
            vec![(3, Cpus::Leased)],
        ),
        ("no CPU at all", vec![operator("a", Kind::Map, 1, whole(0))], &[], vec![(1, Cpus::Shared)]),
        ("a source", vec![operator("a", Kind::Source, 1, whole(3))], &[], vec![(1, Cpus::Leased)]),
        ("a sink", vec![operator("a", Kind::Sink, 1, whole(3))], &[], vec![(1, Cpus::Leased)]),
        ("a process without keys", vec![operator("a", Kind::Process, 1, whole(3))], &[], vec![(1, Cpus::Leased)]),
    ] {
        let plan = pipeline(operators_of_it);
        let grant = decide(&plan, &machine(4), &Supply::default(), &STRICT, &held(elsewhere)).expect(what);
        assert_eq!(operators(&grant), expected, "{what}");
        assert_eq!((grant.stages[0].lanes, grant.stages[0].cpus), (1, Cpus::Shared), "{what}: the source");
    }
}

#[test]
fn a_process_with_keyed_input_is_split_over_its_cpus() {
    let stages = [generate(), operator("count", Kind::Process, 1, whole(3)), discard()];
    let grant =
        decide(&chain(stages, Partition::Key), &machine(4), &Supply::default(), &STRICT, &Holdings::default()).unwrap();
    assert_eq!(operators(&grant), [(3, Cpus::Leased)]);
    assert!(grant.report.rows.iter().all(|row| row.note.is_none()));
}

#[test]
fn what_cannot_be_split_keeps_one_cpu_and_the_ledger_says_so() {
    let plan = pipeline([operator("count", Kind::Process, 1, whole(3))]);
    let grant = decide(&plan, &machine(2), &Supply::default(), &STRICT, &Holdings::default()).unwrap();
    let row = grant.report.rows.iter().find(|row| row.operator == "count" && row.resource == "num_cpus").unwrap();
    assert_eq!((row.requested.as_deref(), row.effective.as_str()), (Some("3"), "1 CPU, 1 lane"));
    assert_eq!(
        row.note.as_deref(),
        Some(
            "this process cannot be split over lanes, because its input is not partitioned by key: \
             it keeps one lane and one CPU, the 2 further CPUs asked for stay free"
        )
    );
}

#[test]
fn too_few_cpus_are_refused_with_the_numbers_and_who_has_the_others() {
    let plan = pipeline([operator("first", Kind::Map, 1, whole(1)), operator("embed", Kind::Map, 4, whole(3))]);
    assert_eq!(
        refusal(&plan, &machine(4), &Supply::default(), &[3]),
        "operator \"embed\" wants 12 CPUs (4 instances × 3), 1 is free\n  \
         of 4 CPUs (0-3), 1 never leased, 1 for other operators of this pipeline, 1 leased already\n  \
         CPU 3 is leased by process 7 (pipeline \"other\", operator \"hog\", instance 0)\n  \
         hint: lower num_cpus or parallelism, or pass --overcommit"
    );
}

#[test]
fn an_operator_without_its_cpus_takes_none_from_those_after_it() {
    let plan = pipeline([operator("large", Kind::Map, 9, whole(1)), operator("small", Kind::Map, 3, whole(1))]);
    let reasons = decide(&plan, &machine(4), &Supply::default(), &STRICT, &Holdings::default()).unwrap_err().reasons;
    assert_eq!(
        reasons.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["operator \"large\" wants 9 CPUs (9 instances × 1), 3 are free"]
    );
}

#[test]
fn overcommit_leases_what_fits_and_runs_the_rest_unpinned_in_the_open() {
    let plan = pipeline([operator("large", Kind::Map, 9, whole(2)), operator("small", Kind::Map, 3, whole(1))]);
    let grant = decide(&plan, &machine(4), &Supply::default(), &OVERCOMMIT, &Holdings::default()).unwrap();
    assert_eq!(operators(&grant), [(2, Cpus::Unpinned), (1, Cpus::Leased)]);
    let row = grant.report.rows.iter().find(|row| row.operator == "large" && row.resource == "num_cpus").unwrap();
    assert_eq!((row.effective.as_str(), row.tier.name()), ("what is free, 2 lanes", "none"));
    assert!(row.note.as_deref().unwrap().contains("--overcommit"));
}

#[test]
fn shares_fit_on_the_cpus_that_nobody_leases() {
    let plan = |share| pipeline([operator("a", Kind::Map, 1, whole(2)), operator("b", Kind::Map, 4, fraction(share))]);
    decide(&plan(5_000), &machine(4), &Supply::default(), &STRICT, &Holdings::default()).unwrap();
    assert_eq!(
        refusal(&plan(5_001), &machine(4), &Supply::default(), &[]),
        "shares come to 2.0004 CPUs, 2 are left unleased\n  \"b\": 4 instances × 0.5001\n  \
         hint: lower num_cpus or parallelism, or pass --overcommit"
    );
    let grant = decide(&plan(5_001), &machine(4), &Supply::default(), &OVERCOMMIT, &Holdings::default()).unwrap();
    let note = grant.report.rows.iter().find_map(|row| row.note.clone()).unwrap();
    assert_eq!(note, "shares come to 2.0004 CPUs on 2: an instance may get less than its share");

    let tiny = decide(&plan(199), &machine(4), &Supply::default(), &STRICT, &Holdings::default()).unwrap();
    let note = tiny.report.rows.iter().find_map(|row| row.note.clone()).unwrap();
    assert_eq!(note, "a share this small is kept to within some milliseconds of any second, not to 10 %");
}

#[test]
fn with_nothing_kept_free_every_cpu_can_be_leased_and_the_ledger_says_what_that_means() {
    let plan = pipeline([operator("a", Kind::Map, 1, whole(4))]);
    assert!(decide(&plan, &machine(4), &Supply::default(), &STRICT, &Holdings::default()).is_err());
    let supply = Supply { cpus_reserved: Some(0), ..Supply::default() };
    let grant = decide(&plan, &machine(4), &supply, &STRICT, &Holdings::default()).unwrap();
    let rows: Vec<_> = grant.report.rows.iter().filter(|row| row.resource == "num_cpus").collect();
    assert_eq!(
        rows.iter().map(|row| (row.operator.as_str(), row.tier.name(), row.note.is_some())).collect::<Vec<_>>(),
        [("numbers", "none", true), ("a", "cooperative", true), ("away", "none", true)]
    );
    // A machine with one CPU reserves none by itself.
    decide(
        &pipeline([operator("a", Kind::Map, 1, whole(1))]),
        &machine(1),
        &Supply::default(),
        &STRICT,
        &Holdings::default(),
    )
    .unwrap();
}

#[test]
fn memory_that_is_asked_for_must_be_there_and_a_default_cap_is_no_claim() {
    let supply = Supply { memory_reserved: 1 << 30, ..Supply::default() };
    let fits =
        pipeline([operator("a", Kind::Map, 7, memory(1 << 30)), operator("b", Kind::Map, 1000, Resources::default())]);
    let grant = decide(&fits, &machine(4), &supply, &STRICT, &Holdings::default()).unwrap();
    assert_eq!(
        grant.stages.iter().map(|stage| stage.memory_cap).collect::<Vec<_>>(),
        [None, Some(1 << 30), Some(Limits::DEFAULT_MEMORY), None]
    );

    let edges = Resources { object_store_memory: Some(64 << 20), ..memory(2 << 30) };
    let plan = pipeline([operator("a", Kind::Map, 4, edges)]);
    assert_eq!(
        refusal(&plan, &machine(4), &supply, &[]),
        "the pipeline wants 8.2GiB of memory, 7GiB is there\n  \"a\": 4 instances × memory = 2GiB\n  \
         \"a\": 4 instances × object_store_memory = 64MiB\n  1GiB kept for the host\n  \
         hint: lower memory or parallelism, or pass --overcommit"
    );
    let grant = decide(&plan, &machine(4), &supply, &OVERCOMMIT, &Holdings::default()).unwrap();
    assert_eq!((grant.stages[1].memory_cap, grant.stages[1].edge_bytes), (Some(2 << 30), 64 << 20));
    assert!(grant.report.to_string().contains("memory may run out below the caps (--overcommit)"));

    let huge = pipeline([operator("a", Kind::Map, u32::MAX, memory(u64::MAX))]);
    assert!(refusal(&huge, &machine(4), &supply, &[]).starts_with("the pipeline wants 16777215.9TiB of memory"));
}

#[test]
fn what_nothing_here_enforces_is_refused_all_at_once_and_let_through_only_as_none() {
    let everything = Resources {
        num_gpus: Some(5_000),
        custom: BTreeMap::from([("licence".to_owned(), 10_000), ("seat".to_owned(), 15_000), ("none".to_owned(), 0)]),
        ..Resources::default()
    };
    let mut plan = pipeline([operator("embed", Kind::Map, 2, everything)]);
    plan.stages[0].resources = Resources { object_store_memory: Some(1 << 20), ..memory(1 << 20) };
    plan.stages[2].resources = whole(1);
    let supply = Supply { custom: BTreeMap::from([("licence".to_owned(), 10_000)]), ..Supply::default() };
    assert_eq!(
        refusal(&plan, &machine(4), &supply, &[]),
        "\"away\" is built in and runs in the host, where nothing holds it to num_cpus = 1\n  \
         hint: remove num_cpus, or pass --allow-unenforced to run without\n\
         \"numbers\" is built in and runs in the host, where nothing holds it to memory = 1MiB\n  \
         hint: remove memory, or pass --allow-unenforced to run without\n\
         \"numbers\" wants object_store_memory = 1MiB, and has no input on which batches could wait\n  \
         hint: remove object_store_memory, or give it to the stages that take this one's output\n\
         operator \"embed\" wants seat = 1.5, and this host declares no seat\n  \
         this host declares licence\n  \
         hint: add resources = { seat = 1.5 } to host.toml if this host has it\n\
         the pipeline wants 2 of licence, this host declares 1\n  \
         \"embed\": 2 instances × 1\n  \
         hint: lower licence or parallelism, raise it in host.toml if there is more, or pass --overcommit\n\
         operator \"embed\" wants num_gpus = 0.5, and this host has no device for it\n  \
         NVML was not asked: host.toml says discover_devices = false\n  \
         hint: declare a [[device]] in host.toml, remove num_gpus, or pass --allow-unenforced to run without"
    );

    let enough = Supply { custom: BTreeMap::from([("licence".to_owned(), 20_000)]), ..Supply::default() };
    let grant = decide(&plan, &machine(4), &enough, &UNENFORCED, &Holdings::default()).unwrap();
    let none: Vec<_> = grant.report.rows.iter().filter(|row| row.effective == "nothing").collect();
    assert!(none.iter().all(|row| row.tier.name() == "none" && row.mechanism.name() == "nothing"));
    assert_eq!(
        none.iter().map(|row| format!("{} {}", row.operator, row.resource)).collect::<Vec<_>>(),
        ["numbers memory", "numbers object_store_memory", "embed num_gpus", "embed seat", "away num_cpus"]
    );
    assert_eq!(grant.stages[1].custom, BTreeMap::from([("licence".to_owned(), 10_000)]));
}

#[test]
fn custom_resources_are_counted_over_all_instances() {
    let supply = Supply { custom: BTreeMap::from([("licence".to_owned(), 30_000)]), ..Supply::default() };
    let plan = |second| {
        pipeline([operator("a", Kind::Map, 2, licences(10_000)), operator("b", Kind::Map, 2, licences(second))])
    };
    decide(&plan(5_000), &machine(2), &supply, &STRICT, &Holdings::default()).unwrap();
    assert!(
        refusal(&plan(5_001), &machine(2), &supply, &[])
            .starts_with("the pipeline wants 3.0002 of licence, this host declares 3\n")
    );
    let grant = decide(&plan(5_001), &machine(2), &supply, &OVERCOMMIT, &Holdings::default()).unwrap();
    let rows: Vec<_> = grant.report.rows.iter().filter(|row| row.resource == "licence").collect();
    assert!(rows.len() == 2 && rows.iter().all(|row| row.tier.name() == "none" && row.note.is_some()));
}

#[test]
fn the_ledger_shows_what_was_asked_for_what_holds_and_how_hard() {
    let embed = Resources {
        num_cpus: Some(CpuRequest::Whole(2)),
        memory: Some(6 << 30),
        custom: BTreeMap::from([("licence".to_owned(), 5_000)]),
        ..Resources::default()
    };
    let small = Resources { object_store_memory: Some(1 << 20), ..fraction(2_500) };
    let mut plan = pipeline([operator("embed", Kind::Map, 1, embed), operator("clean", Kind::Filter, 3, small)]);
    plan.stages[2].limits.cpu_time_per_call = Duration::from_millis(50);
    let supply = Supply {
        memory_reserved: 256 << 20,
        custom: BTreeMap::from([("licence".to_owned(), 10_000)]),
        ..Supply::default()
    };
    let grant = decide(&plan, &machine(4), &supply, &STRICT, &held(&[3])).unwrap();
    insta::assert_snapshot!(grant.report.to_string());
    for width in [80, 40] {
        let text = grant.report.fitted(width);
        assert!(width_of(&text) <= width, "{width}:\n{text}");
        insta::assert_snapshot!(format!("the_ledger_in_{width}_columns"), text);
    }
    assert_eq!(grant.report.fitted(usize::MAX).trim_end(), grant.report.to_string().trim_end());
    let json = serde_json::to_value(&grant.report).unwrap();
    assert_eq!(
        json["rows"][1],
        serde_json::json!({
            "operator": "embed", "instances": 1, "resource": "num_cpus", "requested": "2",
            "effective": "2 CPUs, 2 lanes", "mechanism": "cpu-lease", "tier": "hard"
        })
    );
    assert_eq!(json["totals"]["cpus_allowed"], serde_json::json!([0, 1, 2, 3]));
}
