//! Placement of operators on devices, and the messages for operators without a device.

use std::path::Path;

use super::tests::{OVERCOMMIT, STRICT, UNENFORCED, machine, memory, operator, pipeline};
use super::*;
use sage_machine::{CpuSet, DeviceClaim, DeviceShare, Holdings, ReportRow, ShareState, Supply, Tier};
use sage_models::{Devices, Gpu, GpuPart, NvmlReport};
use sage_plan::config::{BackendChoice, parse_host};
use sage_plan::{Kind, ModelSpec, Plan, Resources, RowsChoice};
use sage_test_support::{Need, skip};

const MIB: u64 = 1 << 20;

fn gpus(value: u32) -> Resources {
    Resources { num_gpus: Some(value), ..Resources::default() }
}

fn embed(instances: u32, value: u32) -> Plan {
    pipeline([operator("embed", Kind::Map, instances, gpus(value))])
}

/// CPU devices that count as GPUs, each with 1 GiB.
fn devices(names: &[&str]) -> Devices {
    let table = |name: &&str| format!("[[device]]\nname = '{name}'\nkind = 'cpu'\ncounts_as_gpu = true\n");
    of_file(&names.iter().map(table).collect::<String>(), NvmlReport::NotAsked)
}

fn of_file(text: &str, nvml: NvmlReport) -> Devices {
    let settings = parse_host("host.toml", text.as_bytes(), Path::new("/")).unwrap();
    Devices::put_together(&settings, nvml, &(0..4).collect())
}

fn held(shares: &[(&str, u32, u64)]) -> Holdings {
    let share = |(token, (device, share, memory)): (u64, &(&str, u32, u64))| DeviceShare {
        pid: 7,
        pipeline: "other".to_owned(),
        tenant: "blue".to_owned(),
        claim: DeviceClaim {
            device: (*device).to_owned(),
            token,
            operator: "hog".to_owned(),
            instance: 0,
            share: *share,
            memory: *memory,
            cpus: CpuSet::default(),
            state: ShareState::Held,
        },
    };
    Holdings { devices: (1..).zip(shares).map(share).collect(), ..Holdings::default() }
}

fn decided(plan: &Plan, devices: &Devices, taken: &Holdings) -> Result<Grant, Refusal> {
    decide(plan, &machine(4), &Supply::default(), &STRICT, devices, taken)
}

fn refused(plan: &Plan, devices: &Devices, taken: &Holdings) -> String {
    decided(plan, devices, taken).expect_err("a refusal").to_string()
}

/// Devices and shares of each instance of a stage.
fn placed(grant: &Grant, stage: usize) -> Vec<Vec<(&str, u32)>> {
    let of = |part: &'_ DeviceGrant| part.share;
    let instances = grant.stages[stage].devices.iter();
    instances.map(|parts| parts.iter().map(|part| (part.device.as_str(), of(part))).collect()).collect()
}

fn row(grant: &Grant) -> ReportRow {
    grant.report.rows.iter().find(|row| row.resource == "num_gpus").unwrap().clone()
}

#[test]
fn four_quarters_fit_on_a_device_and_a_fifth_does_not() {
    let cpu0 = devices(&["cpu0"]);
    let grant = decided(&embed(4, 2_500), &cpu0, &Holdings::default()).unwrap();
    assert_eq!(placed(&grant, 1), [[("cpu0", 2_500)]; 4]);
    assert_eq!(
        refused(&embed(5, 2_500), &cpu0, &Holdings::default()),
        "operator \"embed\" wants 1.25 of devices (5 instances × 0.25), 1 is free\n  \
         of 1 device (cpu0), 0 for other operators of this pipeline\n  \
         hint: lower num_gpus or parallelism, or wait for other runs with --wait; \
         --overcommit does not share devices out more thinly"
    );
    assert_eq!(
        refused(&embed(1, 2_500), &cpu0, &held(&[("cpu0", 5_000, 0), ("cpu0", 2_501, 0), ("elsewhere", 10_000, 0)])),
        "operator \"embed\" wants 0.25 of devices (1 instance × 0.25), 0 are free\n  \
         of 1 device (cpu0), 0 for other operators of this pipeline\n  \
         0.5 of cpu0 is held by lease 1 of process 7 (pipeline \"other\", operator \"hog\", instance 0)\n  \
         0.2501 of cpu0 is held by lease 2 of process 7 (pipeline \"other\", operator \"hog\", instance 0)\n  \
         hint: lower num_gpus or parallelism, or wait for other runs with --wait; \
         --overcommit does not share devices out more thinly"
    );
    let fits = |instances| fits_alone(&embed(instances, 2_500), &machine(4), &Supply::default(), &STRICT, &cpu0);
    assert_eq!([fits(4), fits(5)], [true, false], "whether it is worth waiting");
    let overcommit =
        decide(&embed(5, 2_500), &machine(4), &Supply::default(), &OVERCOMMIT, &cpu0, &Holdings::default());
    assert!(overcommit.is_err(), "devices are not shared out more thinly");
}

#[test]
fn whole_numbers_are_whole_devices_and_fractions_leave_these_whole() {
    let two = devices(&["a", "b"]);
    for (what, plan, taken, expected) in [
        ("two for one instance", embed(1, 20_000), Holdings::default(), Some(vec![vec![("a", 10_000), ("b", 10_000)]])),
        ("one each", embed(2, 10_000), Holdings::default(), Some(vec![vec![("a", 10_000)], vec![("b", 10_000)]])),
        ("the fuller one", embed(1, 2_500), held(&[("b", 1, 0)]), Some(vec![vec![("b", 2_500)]])),
        ("the empty one", embed(1, 10_000), held(&[("a", 1, 0)]), Some(vec![vec![("b", 10_000)]])),
        ("the one with room", embed(1, 2_500), held(&[("b", 8_000, 0)]), Some(vec![vec![("a", 2_500)]])),
        ("none is empty", embed(1, 10_000), held(&[("a", 1, 0), ("b", 1, 0)]), None),
        ("pieces that are too small", embed(1, 6_000), held(&[("a", 5_000, 0), ("b", 5_000, 0)]), None),
    ] {
        match expected {
            Some(expected) => assert_eq!(placed(&decided(&plan, &two, &taken).expect(what), 1), expected, "{what}"),
            None => assert!(refused(&plan, &two, &taken).contains(", 0 are free"), "{what}"),
        }
    }
    assert_eq!(
        refused(&embed(1, 30_000), &two, &Holdings::default()).lines().next(),
        Some("operator \"embed\" wants 3 of devices (1 instance × 3), 2 are free")
    );
    let mixed = pipeline([operator("small", Kind::Map, 1, gpus(100)), operator("large", Kind::Map, 1, gpus(10_000))]);
    let grant = decided(&mixed, &two, &held(&[("b", 1, 0)])).unwrap();
    assert_eq!((placed(&grant, 1), placed(&grant, 2)), (vec![vec![("b", 100)]], vec![vec![("a", 10_000)]]));
}

#[test]
fn without_a_device_it_is_refused_with_what_nvml_said_and_what_would_help() {
    let nvml = || NvmlReport::Unusable {
        library: "libnvidia-ml.so.1".to_owned(),
        why: "cannot open shared object file: No such file or directory".to_owned(),
    };
    assert_eq!(
        refused(&embed(1, 5_000), &of_file("", nvml()), &Holdings::default()),
        "operator \"embed\" wants num_gpus = 0.5, and this host has no device for it\n  \
         NVML: libnvidia-ml.so.1: cannot open shared object file: No such file or directory\n  \
         hint: declare a [[device]] in host.toml, remove num_gpus, or pass --allow-unenforced to run without"
    );
    let cpu = "[[device]]\nname = 'cpu0'\nkind = 'cpu'\n";
    assert_eq!(
        refused(&embed(1, 5_000), &of_file(cpu, nvml()), &Holdings::default()),
        "operator \"embed\" wants num_gpus = 0.5, and this host has no device for it\n  \
         NVML: libnvidia-ml.so.1: cannot open shared object file: No such file or directory\n  \
         device \"cpu0\" (cpu) does not count as a GPU\n  \
         hint: set counts_as_gpu = true for cpu0 in host.toml to let it serve num_gpus: \
         models then run there, not on a GPU"
    );
    let allowed = decide(
        &embed(1, 5_000),
        &machine(4),
        &Supply::default(),
        &UNENFORCED,
        &of_file(cpu, nvml()),
        &Holdings::default(),
    );
    let grant = allowed.unwrap();
    assert_eq!((row(&grant).effective.as_str(), row(&grant).tier), ("nothing", Tier::None));
    assert!(grant.stages[1].devices.is_empty());
    let full = held(&[("cpu0", 10_000, 0)]);
    let short = decide(&embed(1, 1), &machine(4), &Supply::default(), &UNENFORCED, &devices(&["cpu0"]), &full);
    assert!(short.is_err(), "what others hold is waited for, not done without");
}

/// Two models. Operator `b` may open both.
fn with_models() -> (Plan, Supply) {
    let model = |name: &str, workspace| ModelSpec {
        name: name.to_owned(),
        path: format!("{name}.onnx").into(),
        sha256: None,
        backend: BackendChoice::Auto,
        rows: RowsChoice::Shown,
        graph_rows: None,
        max_rows: 1,
        max_delay: std::time::Duration::ZERO,
        batching: None,
        deterministic: false,
        workspace,
    };
    let mut plan = pipeline([operator("a", Kind::Map, 1, gpus(1_000)), operator("b", Kind::Map, 2, gpus(2_000))]);
    plan.models = vec![model("small", 100 * MIB), model("large", 200 * MIB)];
    plan.stages[1].models = vec!["small".to_owned()];
    plan.stages[2].models = vec!["small".to_owned(), "large".to_owned()];
    let bytes = [("small".to_owned(), 4 * MIB), ("large".to_owned(), 90 * MIB)];
    (plan, Supply { model_bytes: bytes.into(), ..Supply::default() })
}

#[test]
fn the_memory_of_models_is_counted_for_each_lease() {
    let (plan, supply) = with_models();
    let decided = |taken: &Holdings| decide(&plan, &machine(4), &supply, &STRICT, &devices(&["cpu0"]), taken);
    let grant = decided(&Holdings::default()).unwrap();
    let memory =
        |stage: usize| grant.stages[stage].devices.iter().flatten().map(|part| part.memory).collect::<Vec<_>>();
    assert_eq!((memory(1), memory(2)), (vec![104 * MIB], vec![394 * MIB; 2]));
    decided(&held(&[("cpu0", 1, (1024 - 104 - 788) * MIB)])).unwrap();
    assert_eq!(
        decided(&held(&[("cpu0", 1, (1024 - 788) * MIB)])).unwrap_err().to_string(),
        "operator \"a\" wants 104MiB of device memory for each lease (1 instance), \
         and no device has as much free for all of them\n  \
         model \"small\": 4MiB of weights, workspace = 100MiB\n  \
         cpu0: 0B of 1GiB is free\n  \
         236MiB of cpu0 is held by lease 1 of process 7 (pipeline \"other\", operator \"hog\", instance 0)\n  \
         hint: lower workspace of the models or parallelism, or raise the device's memory in host.toml if it has more; \
         --overcommit does not stretch it"
    );
}

#[test]
fn the_ledger_says_which_device_serves_and_how_hard_that_holds() {
    let part = GpuPart { uuid: "GPU-1".to_owned(), name: Some("NVIDIA T4".to_owned()), memory: Some(16 << 30) };
    let nvml = NvmlReport::Answered { driver: None, gpus: vec![Gpu { own: part, instances: None }] };
    let both = of_file("[[device]]\nname = 'cpu0'\nkind = 'cpu'\ncounts_as_gpu = true\n", nvml);
    let of = |plan: &Plan, devices: &Devices, taken: &Holdings| {
        let row = row(&decided(plan, devices, taken).unwrap());
        assert_eq!(row.mechanism.name(), "device lease");
        (row.effective, row.tier, row.note.unwrap())
    };
    let cpu = "cpu0 is a cpu device, which host.toml lets count as a GPU: shared, tract, models run in a thread";
    let shared = of(&embed(2, 2_500), &devices(&["cpu0"]), &Holdings::default());
    assert_eq!(shared, ("0.25 of cpu0".to_owned(), Tier::Cooperative, cpu.to_owned()));
    if !both.get("GPU-1").unwrap().serves_gpus() {
        return skip(Need::Onnxruntime, "this build has no ONNX Runtime, so no CUDA device serves");
    }
    let gpu = |tier: &str| format!("GPU-1 is a cuda device (NVIDIA T4): {tier}, onnxruntime, models run in a process");
    let whole = of(&embed(1, 10_000), &both, &held(&[("cpu0", 1, 0)]));
    assert_eq!(whole, ("1 of GPU-1".to_owned(), Tier::Hard, gpu("exclusive")));
    let several = of(&embed(2, 10_000), &both, &Holdings::default());
    assert_eq!(several.0, "1 of GPU-1 (1 instance) or cpu0 (1 instance)");
    assert_eq!(several.2, format!("{cpu}; {}", gpu("exclusive")));
    assert_eq!(of(&embed(1, 20_000), &both, &Holdings::default()).0, "cpu0, GPU-1");
}

#[test]
fn cpus_of_devices_are_leased_to_nobody() {
    let text = |cpus: &str| format!("[[device]]\nname = 'd'\nkind = 'cpu'\nthreads = 4\ncpus = '{cpus}'\n");
    let whole = super::tests::whole;
    let two = of_file(&text("2-3"), NvmlReport::NotAsked);
    let plan = |count| pipeline([operator("a", Kind::Map, 1, whole(count))]);
    let grant = decided(&plan(1), &two, &Holdings::default()).unwrap();
    assert_eq!(grant.allowed.to_string(), "0-1");
    assert!(
        refused(&plan(2), &two, &Holdings::default())
            .starts_with("operator \"a\" wants 2 CPUs (1 instance × 2), 1 is free")
    );
    assert_eq!(
        refused(&plan(1), &of_file(&text("0-3"), NvmlReport::NotAsked), &Holdings::default()).lines().next(),
        Some("host.toml gives CPUs 0-3 to devices, and none of CPUs 0-3 is left for operators")
    );
}

#[test]
fn memory_of_cpu_devices_is_not_given_to_operators() {
    let plan = |bytes| pipeline([operator("a", Kind::Map, 1, memory(bytes))]);
    let two = of_file("[[device]]\nname = 'd'\nkind = 'cpu'\nmemory = '2GiB'\n", NvmlReport::NotAsked);
    decided(&plan(6 << 30), &two, &Holdings::default()).unwrap();
    assert_eq!(
        refused(&plan(7 << 30), &two, &Holdings::default()),
        "the pipeline wants 7GiB of memory, 6GiB is there\n  \"a\": 1 instance × memory = 7GiB\n  \
         0B kept for the host\n  2GiB for models on CPU devices\n  \
         hint: lower memory or parallelism, or pass --overcommit"
    );
}

/// A share that another run holds of a device with CPUs of its own, as the ledger shows it.
fn bound(device: &str, cpus: &[u32]) -> Holdings {
    let mut taken = held(&[(device, 2_500, 0)]);
    taken.devices[0].claim.cpus = cpus.iter().copied().collect();
    taken.cpus = super::tests::held(cpus).cpus;
    taken
}

#[test]
fn a_devices_cpus_are_nobody_elses_but_another_runs_on_the_same_device() {
    let bound_to = |cpus: &str| {
        let device =
            format!("[[device]]\nname = 'cpu0'\nkind = 'cpu'\ncounts_as_gpu = true\nslots = 2\ncpus = '{cpus}'\n");
        of_file(&device, NvmlReport::NotAsked)
    };
    let leased = super::tests::held(&[3]);
    assert_eq!(
        refused(&embed(1, 2_500), &bound_to("3"), &leased),
        "host.toml gives CPUs 3 to device \"cpu0\", and other runs hold some of them\n  \
         CPU 3 is leased by process 7 (pipeline \"other\", operator \"hog\", instance 0)\n  \
         hint: give the device other CPUs in host.toml, the same in all host files of the machine, \
         or wait for other runs with --wait"
    );
    assert!(
        refused(&embed(1, 2_500), &bound_to("2-3"), &bound("elsewhere", &[2])).starts_with("host.toml gives CPUs 2-3")
    );
    decided(&embed(1, 2_500), &bound_to("2"), &leased).unwrap();
    decided(&embed(1, 2_500), &bound_to("2-3"), &bound("cpu0", &[2, 3])).unwrap();
    decided(&embed(1, 2_500), &devices(&["cpu0"]), &leased).unwrap();
    let without = pipeline([operator("plain", Kind::Map, 1, Resources::default())]);
    decided(&without, &bound_to("3"), &leased).unwrap();
}

#[test]
fn whoever_leases_no_cpu_does_not_run_on_one_that_is_leased() {
    let without = pipeline([operator("plain", Kind::Map, 1, Resources::default())]);
    let all = super::tests::held(&[0, 1, 2, 3]);
    let said = refused(&without, &Devices::default(), &all);
    let begins = "no CPU of 0-3 is left without a lease: \
                  sources, sinks and operators without num_cpus would run on leased CPUs\n  \
                  CPU 0 is leased by process 7";
    assert!(said.starts_with(begins), "{said}");
    decided(&without, &Devices::default(), &super::tests::held(&[1, 2, 3])).unwrap();
    super::decide(&without, &machine(4), &Supply::default(), &OVERCOMMIT, &Devices::default(), &all).unwrap();
    let device = "[[device]]\nname = 'cpu0'\nkind = 'cpu'\ncounts_as_gpu = true\ncpus = '0'\n";
    let said = refused(&embed(1, 2_500), &of_file(device, NvmlReport::NotAsked), &super::tests::held(&[1, 2, 3]));
    assert!(said.starts_with("no CPU of 1-3 is left"), "{said}");
}
