//! What an admitted pipeline holds of the machine, and until when.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

use sage_machine::{CpuSet, Holdings, Revoked};
use sage_models::{LeaseState, NvmlReport};
use sage_plan::config::{parse, parse_host};
use sage_plan::{Catalog, ComponentFacts, Kind, validate_parsed};

use super::*;

static STRICT: LazyLock<Options> = LazyLock::new(Options::default);
static OVERCOMMIT: LazyLock<Options> = LazyLock::new(|| Options { overcommit: true, ..Options::default() });

/// Operators with these names and keys, one after the other, between a source and a sink.
fn pipeline(operators: &[(&str, &str)]) -> Plan {
    let (mut text, mut input) =
        ("[pipeline]\nname = 'test'\n[[source]]\nname = 'numbers'\ngenerate = {}\n".to_owned(), "numbers");
    for (name, keys) in operators {
        text += &format!("[[operator]]\nname = '{name}'\ncomponent = 'map.wasm'\ninput = '{input}'\n{keys}\n");
        input = name;
    }
    text += &format!("[[sink]]\nname = 'away'\ninput = '{input}'\ndiscard = {{}}\n");
    let base = Path::new("/");
    let catalog = Catalog::from([(base.join("map.wasm"), Ok(ComponentFacts::new(Kind::Map, Vec::new())))]);
    validate_parsed(parse("test.toml", text.as_bytes()), &catalog, base).unwrap()
}

fn embed(instances: u32, gpus: f64) -> Plan {
    pipeline(&[("embed", &format!("parallelism = {instances}\nresources = {{ num_gpus = {gpus} }}"))])
}

fn licence(amount: u64) -> BTreeMap<String, u64> {
    BTreeMap::from([("licence".to_owned(), amount)])
}

fn machine(cpus: u32) -> Inventory {
    Inventory { allowed: (0..cpus).collect(), memory: 8 << 30, quota: None }
}

/// A CPU device that counts as a GPU, of 1 GiB.
fn cpu0() -> Devices {
    let text = "[[device]]\nname = 'cpu0'\nkind = 'cpu'\ncounts_as_gpu = true\n";
    let settings = parse_host("host.toml", text.as_bytes(), Path::new("/")).unwrap();
    Devices::put_together(&settings, NvmlReport::NotAsked, &(0..4).collect())
}

/// Lanes and CPUs of the operators, without the source and the sink around them.
fn lanes(grant: &Grant) -> Vec<(u32, Cpus)> {
    grant.stages[1..grant.stages.len() - 1].iter().map(|stage| (stage.lanes, stage.cpus)).collect()
}

#[test]
fn granted_leases_are_held_by_lane_and_free_again_afterwards() {
    let place = tempfile::tempdir().unwrap();
    let folder = LeaseFolder::at(place.path()).unwrap();
    let plan = pipeline(&[("a", "parallelism = 2\nresources = { num_cpus = 2 }"), ("b", "")]);
    let (grant, leases) = admit(&plan, &machine(6), &Supply::default(), &STRICT, &Devices::default(), &folder).unwrap();
    let cpu = |stage, instance, lane| leases.lane(StageId(stage), instance, lane).map(|lease| lease.cpu());
    assert_eq!([cpu(1, 0, 0), cpu(1, 0, 1), cpu(1, 1, 0), cpu(1, 1, 1)], [Some(5), Some(4), Some(3), Some(2)]);
    assert_eq!([cpu(1, 1, 2), cpu(1, 2, 0), cpu(2, 0, 0)], [None; 3]);
    assert_eq!(leases.cpus(), (2..6).collect::<CpuSet>());
    assert_eq!(grant.stage(StageId(1)).lanes, 2);
    let holders = folder.held_by_anyone().unwrap().into_iter().map(|held| held.holder.unwrap());
    assert!(holders.map(|holder| (holder.pipeline, holder.operator)).all(|who| who == ("test".into(), "a".into())));
    drop(leases);
    assert_eq!(folder.held_by_anyone().unwrap(), []);
}

#[test]
fn whoever_comes_second_is_refused_and_told_who_was_first() {
    let place = tempfile::tempdir().unwrap();
    let folder = LeaseFolder::at(place.path()).unwrap();
    let plan = pipeline(&[("a", "resources = { num_cpus = 3 }")]);
    let admitted =
        |options: &Options| admit(&plan, &machine(4), &Supply::default(), options, &Devices::default(), &folder);
    let _first = admitted(&STRICT).unwrap();

    let text = admitted(&STRICT).unwrap_err().to_string();
    assert!(text.starts_with("operator \"a\" wants 3 CPUs (1 instance × 3), 0 are free\n"), "{text}");
    assert!(text.contains("\n  CPU 1 is leased by process"), "{text}");
    let (grant, leases) = admitted(&OVERCOMMIT).unwrap();
    assert_eq!((lanes(&grant), leases.cpus().count()), (vec![(3, Cpus::Unpinned)], 0));
}

#[test]
fn a_pipeline_that_runs_is_in_the_ledger_until_it_ends() {
    let place = tempfile::tempdir().unwrap();
    let folder = LeaseFolder::at(place.path()).unwrap();
    let supply = Supply { custom: licence(30_000), ..Supply::default() };
    let blue = Options { tenant: "blue".parse().unwrap(), ..Options::default() };
    let inventory = Inventory { allowed: (0..4).collect(), memory: 8 << 30, quota: None };
    let resources = "{ num_cpus = 1, memory = '3GiB', resources = { licence = 1 } }";
    let plan = pipeline(&[(
        "a",
        &format!(
            "parallelism = 2
resources = {resources}"
        ),
    )]);
    let admitted = || admit(&plan, &inventory, &supply, &blue, &Devices::default(), &folder);
    let (grant, leases) = admitted().unwrap();
    let claims = folder.taken().unwrap().claims;
    assert_eq!(claims, [leases.claim().claim().clone()]);
    assert_eq!((claims[0].pid, claims[0].tenant.as_str()), (std::process::id(), "blue"));
    assert_eq!((&claims[0].amounts, &claims[0].cpus), (&grant.amounts, &leases.cpus()));

    let text = admitted().unwrap_err().to_string();
    for line in
        ["wants 2 CPUs (2 instances × 1), 1 is free", "6GiB of memory, 2GiB is free", "declares 3 and 1 is free"]
    {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    drop(leases);
    assert_eq!(Holdings { place: None, ..folder.taken().unwrap() }, Holdings::default());
    drop(admitted().unwrap());
}

#[test]
fn admitted_leases_are_in_the_machines_book_with_tokens_that_only_rise_until_they_are_dropped() {
    let place = tempfile::tempdir().unwrap();
    let folder = LeaseFolder::at(place.path()).unwrap();
    let cpu0 = cpu0();
    let admitted = |plan: &Plan| admit(plan, &machine(4), &Supply::default(), &STRICT, &cpu0, &folder);
    let (_, first) = admitted(&embed(3, 0.25)).unwrap();
    let tokens = |held: &HeldLeases| held.held_devices().all().map(|lease| lease.token()).collect::<Vec<_>>();
    assert_eq!(tokens(&first), [1, 2, 3]);
    let lease = &first.devices(StageId(1), 2)[0];
    assert_eq!((lease.token(), lease.device(), lease.share(), lease.state()), (3, "cpu0", 2_500, LeaseState::Held));
    assert!(first.devices(StageId(1), 3).is_empty() && first.devices(StageId(0), 0).is_empty());

    let text = admitted(&embed(2, 0.25)).unwrap_err().to_string();
    assert!(text.starts_with("operator \"embed\" wants 0.5 of devices (2 instances × 0.25), 0.25 are free"), "{text}");
    assert!(text.contains("0.25 of cpu0 is held by lease 3 of process"), "{text}");
    let (_, second) = admitted(&embed(1, 0.25)).unwrap();
    assert_eq!(tokens(&second), [4]);

    let run = lease.enter().unwrap();
    drop(run);
    let lease = std::sync::Arc::clone(lease);
    drop(first);
    assert_eq!(lease.state(), LeaseState::Released);
    assert_eq!(folder.taken().unwrap().devices.len(), 1);
    let (_, third) = admitted(&embed(1, 0.5)).unwrap();
    assert_eq!(tokens(&third), [5], "a token is given out once");
    let none = admitted(&pipeline(&[("plain", "resources = { memory = '1MiB' }")])).unwrap().1;
    assert_eq!(tokens(&none), [0; 0]);
}

#[test]
fn a_revoked_lease_is_free_for_the_next_and_its_instance_is_told() {
    let place = tempfile::tempdir().unwrap();
    let folder = LeaseFolder::at(place.path()).unwrap();
    let cpu0 = cpu0();
    let admitted = || admit(&embed(1, 1.0), &machine(4), &Supply::default(), &STRICT, &cpu0, &folder);
    let (_, first) = admitted().unwrap();
    admitted().unwrap_err();
    let timeout = std::time::Duration::from_secs(30);
    assert_eq!(folder.revoke(1, std::time::Duration::ZERO, timeout).unwrap(), Revoked::Free);
    assert_eq!(first.devices(StageId(1), 0)[0].state(), LeaseState::Revoked);
    let (_, second) = admitted().unwrap();
    assert_eq!(second.devices(StageId(1), 0)[0].token(), 2);
}
