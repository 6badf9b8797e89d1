//! CPU time of an instance in a process of its own.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use sage_test_support::{Need, skip};
use sage_tests::{Running, Scenario, allowed_cpus, guest, has_control, thread_cpus, thread_times, workers_of};

/// A source without an end of its own.
const CALM: &str = "generate = { rate = 500, payload_bytes = 16, seed = 1 }";

fn endless(component: &str, source: &str, resources: &str, more: &str) -> Scenario {
    let scenario = Scenario::new();
    scenario.pipeline(&format!(
        r#"
        [pipeline]
        name = "cpu"
        [[source]]
        name = "in"
        {source}
        [[operator]]
        name = "guest"
        component = "{}"
        input = "in"
        resources = {{ {resources} }}
        {more}
        [[sink]]
        name = "out"
        input = "guest"
        discard = {{}}
        "#,
        guest(component).display(),
    ));
    scenario
}

fn worker(running: &mut Running) -> u32 {
    running.until("its worker ran", |process| workers_of(process).first().copied())
}

/// CPU time of all threads of a process.
fn used(process: u32) -> Duration {
    thread_cpus(process).keys().filter_map(|(_, thread)| Some(thread_times(process, *thread)?.used)).sum()
}

#[test]
fn a_quarter_of_a_cpu_is_a_quarter_by_the_kernels_quota_for_a_guest_that_never_yields() {
    if !has_control(|controls| controls.cpu.available) {
        return;
    }
    let more = "limits = { cpu_time_per_call = \"1h\", call_timeout = \"2h\" }";
    let scenario = endless("map_spins", "file = { path = \"in.txt\", format = \"lines\" }", "num_cpus = 0.25", more);
    scenario.file("in.txt", "1000000000000");
    let mut running = scenario.start_with(["--isolation", "process"]);
    let worker = worker(&mut running);
    // The measurement begins when the worker is busy, so that its start does not count as CPU time of the
    // guest.
    running.until("it was busy", |_| (used(worker) > Duration::from_millis(100)).then_some(()));
    let mut shares = Vec::new();
    // The share is never larger, and it is not smaller in a period in which no other process needs the whole
    // machine.
    while shares.len() < 10 && !shares.iter().any(|share| *share >= 0.22) {
        let (from, before) = (Instant::now(), used(worker));
        std::thread::sleep(Duration::from_secs(2));
        shares.push((used(worker) - before).as_secs_f64() / from.elapsed().as_secs_f64());
        assert!(shares.iter().all(|share| *share <= 0.28), "{shares:?} of a CPU");
    }
    assert!(shares.iter().any(|share| *share >= 0.22), "{shares:?} of a CPU");
}

#[test]
fn the_cpu_time_of_a_short_run_is_counted_to_the_last_call() {
    let mut seconds = Vec::new();
    for isolation in ["thread", "process"] {
        let more = "limits = { cpu_time_per_call = \"1h\", call_timeout = \"2h\" }";
        let source = "file = { path = \"in.txt\", format = \"lines\" }";
        let scenario = endless("map_spins", source, "num_cpus = 0.9", more);
        scenario.file("in.txt", "200000000");
        let outcome = scenario.run_with(["--isolation", isolation]);
        outcome.expect_exit(0);
        let summary = outcome.summary();
        let stage = summary["stages"].as_array().unwrap().iter().find(|stage| stage["name"] == "guest").unwrap();
        seconds.push(stage["cpu_seconds"].as_f64().unwrap());
    }
    assert!(seconds[0] > 0.02 && seconds[1] > seconds[0] / 2.0, "{seconds:?}");
}

#[test]
fn a_whole_cpu_is_its_workers_alone() {
    if allowed_cpus().len() < 2 {
        return skip(Need::Cpus, "this process may use one CPU only");
    }
    let scenario = endless("map_shouts", CALM, "num_cpus = 1", "");
    let mut running = scenario.start_with(["--isolation", "process"]);
    let worker = worker(&mut running);
    let (own, host): (BTreeSet<u32>, BTreeSet<u32>) = running.until("everybody was in their places", |process| {
        let cpus = |process| thread_cpus(process).into_values().flatten().collect::<BTreeSet<u32>>();
        let lanes = |process| {
            let lane = |name: &str| ["guest-", "in-", "out-"].iter().any(|stage| name.starts_with(stage));
            thread_cpus(process).into_iter().filter(|((name, _), _)| lane(name)).flat_map(|(_, cpus)| cpus).collect()
        };
        let (own, host): (_, BTreeSet<u32>) = (cpus(worker), lanes(process));
        (own.len() == 1 && !host.is_empty() && host.is_disjoint(&own)).then_some((own, host))
    });
    assert!(own.is_subset(&allowed_cpus()) && host.is_subset(&allowed_cpus()));
    running.signal(rustix::process::Signal::INT);
    running.wait().expect_exit(0).expect_conservation();
}

#[test]
fn a_worker_without_a_cpu_of_its_own_keeps_off_those_that_others_lease_meanwhile() {
    if allowed_cpus().len() < 2 {
        return skip(Need::Cpus, "this process may use one CPU only");
    }
    let shared = endless("map_shouts", CALM, "memory = \"64MiB\"", "");
    let mut first = shared.start_with(["--isolation", "process"]);
    let calm = worker(&mut first);
    let leasing = endless("map_shouts", CALM, "num_cpus = 1", "").sharing_leases_of(&shared);
    let mut second = leasing.start_with(["--isolation", "process"]);
    let busy = worker(&mut second);
    second.until("the first one's worker has moved away", |_| {
        let cpus = |process| thread_cpus(process).into_values().flatten().collect::<BTreeSet<u32>>();
        let (calm, busy) = (cpus(calm), cpus(busy));
        (busy.len() == 1 && !calm.is_empty() && calm.is_disjoint(&busy)).then_some(())
    });
}
