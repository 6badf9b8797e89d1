//! However a run ends, no worker, no control group and no lease of it is left.

use rustix::process::Signal;
use sage_test_support::wait_until;
use sage_tests::{Running, Scenario, groups_named, guest, workers_of};

/// A pipeline with this name, so that its groups can be found. Without a `count` it has no end of its own.
fn pipeline(name: &str, component: &str, source: &str) -> Scenario {
    pipeline_with(name, component, &format!("generate = {{ {source}, payload_bytes = 16, seed = 1 }}"), "")
}

fn pipeline_with(name: &str, component: &str, source: &str, settings: &str) -> Scenario {
    let scenario = Scenario::new();
    scenario.pipeline(&format!(
        r#"
        [pipeline]
        name = "{name}"
        [[source]]
        name = "in"
        {source}
        [[operator]]
        name = "guest"
        component = "{}"
        input = "in"
        parallelism = 2
        {settings}
        [[sink]]
        name = "out"
        input = "guest"
        discard = {{}}
        "#,
        guest(component).display(),
    ));
    scenario
}

fn started(scenario: &Scenario) -> (Running, Vec<u32>) {
    let mut running = scenario.start_with(["--isolation", "process"]);
    let workers = running.until("its workers ran", |process| {
        let workers = workers_of(process);
        (workers.len() == 2).then_some(workers)
    });
    (running, workers)
}

fn gone(worker: u32) -> bool {
    // A zombie counts as gone, because the process that inherits it reaps it.
    let status = std::fs::read_to_string(format!("/proc/{worker}/stat")).unwrap_or_default();
    status.rsplit(')').next().is_none_or(|rest| rest.trim().starts_with('Z') || rest.trim().is_empty())
}

/// Asserts that the workers end within moments after the process that started them; the kernel ends them.
fn expect_gone(workers: &[u32]) {
    wait_until("the workers are gone", || workers.iter().all(|&worker| gone(worker)).then_some(()));
}

#[test]
fn after_success_and_after_failure() {
    for (name, component, exit) in [("left-well", "map_shouts", 0), ("left-ill", "map_panics_always", 4)] {
        let scenario = pipeline(name, component, "count = 1000");
        scenario.run_with(["--isolation", "process"]).expect_exit(exit);
        assert_eq!(groups_named(name), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn after_a_signal() {
    for (name, signal) in [("left-int", Signal::INT), ("left-term", Signal::TERM)] {
        let scenario = pipeline(name, "map_shouts", "rate = 1000");
        let (running, workers) = started(&scenario);
        if sage_tests::has_control(|controls| controls.memory.available) {
            assert!(!groups_named(name).is_empty(), "each worker is in a group");
        }
        running.signal(signal);
        running.wait().expect_exit(0).expect_conservation();
        assert!(workers.iter().all(|&worker| gone(worker)), "{name}");
        assert_eq!(groups_named(name), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn after_two_signals_whatever_a_guest_does() {
    let name = "left-at-once";
    let limits = "limits = { cpu_time_per_call = \"1h\", call_timeout = \"2h\" }";
    let scenario = pipeline_with(name, "map_spins", "file = { path = \"in.txt\", format = \"lines\" }", limits);
    scenario.file("in.txt", "1000000000000\n1000000000000");
    let (running, workers) = started(&scenario);
    // Two different signals, because the kernel merges two pending signals of the same kind.
    running.signal(Signal::INT);
    running.signal(Signal::TERM);
    running.wait().expect_exit(130);
    assert!(workers.iter().all(|&worker| gone(worker)));
    assert_eq!(groups_named(name), Vec::<String>::new());
}

#[test]
fn workers_die_with_a_host_that_is_killed_and_the_next_start_sweeps_its_groups() {
    let name = "left-killed";
    let scenario = pipeline(name, "map_shouts", "rate = 1000");
    let (running, workers) = started(&scenario);
    running.signal(Signal::KILL);
    running.gone();
    expect_gone(&workers);
    let next = pipeline("left-next", "map_shouts", "count = 10");
    next.run_with(["--isolation", "process"]).expect_exit(0);
    assert_eq!(groups_named(name), Vec::<String>::new());
    assert_eq!(groups_named("left-next"), Vec::<String>::new());
}
