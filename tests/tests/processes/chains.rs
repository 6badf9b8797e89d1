//! Lanes with guests in workers: the lanes that share a thread of the host, and the batches that this
//! thread handles.

use std::collections::BTreeSet;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use sage_tests::{Running, Scenario, free_port, guest, metric, operator, thread_cpus, thread_times, workers_of};

/// A pipeline of stages `name < inputs`, each with further settings. A stage without input is a source.
fn pipeline(stages: &[(&str, &str)]) -> Scenario {
    let scenario = Scenario::new();
    let identity = operator("identity");
    let mut toml = "[pipeline]\nname = \"chains\"\n".to_owned();
    for (stage, more) in stages {
        let (name, input) = stage.split_once(" < ").unwrap_or((stage, ""));
        let kind = match (input, name) {
            ("", _) => "[[source]]".to_owned(),
            (_, name) if name.starts_with("out") => format!("[[sink]]\ninput = {input:?}\ndiscard = {{}}"),
            _ => format!("[[operator]]\ninput = {input:?}\ncomponent = {identity:?}"),
        };
        toml += &format!("{kind}\nname = {name:?}\n{more}\n");
    }
    scenario.pipeline(&toml);
    scenario
}

/// Names of the threads that have lanes.
fn lanes(running: &Running) -> BTreeSet<String> {
    let names = thread_cpus(running.id()).into_keys().map(|(name, _)| name);
    names.filter(|name| name.ends_with(".0")).collect()
}

const CALM: &str = "generate = { rate = 200, payload_bytes = 16 }";
/// Stages, and the names of the threads that have their lanes.
type Case<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str]);

#[test]
fn lanes_in_a_row_share_a_thread_where_edges_do_not_fork_and_nobody_waits_for_something_else() {
    let waits = format!("component = {:?}", guest("source_never_ends"));
    let cases: &[Case<'_>] = &[
        (&[("in", CALM), ("a < in", ""), ("b < a", ""), ("out < b", "")], &["in-0.0"]),
        (&[("in", &waits), ("a < in", ""), ("b < a", ""), ("out < b", "")], &["in-0.0", "a-0.0"]),
        (
            &[("in", CALM), ("a < in", ""), ("b < a", ""), ("c < a", ""), ("out1 < b", ""), ("out2 < c", "")],
            &["in-0.0", "b-0.0", "c-0.0"],
        ),
        (
            &[
                ("in", CALM),
                ("a < in", "parallelism = 2"),
                ("b < a", "parallelism = 2\npartition = \"forward\""),
                ("out < b", ""),
            ],
            &["in-0.0", "a-0.0", "a-1.0", "out-0.0"],
        ),
        (
            &[
                ("in", CALM),
                ("a < in", ""),
                ("b < a", ""),
                ("c < b", ""),
                ("d < c", ""),
                ("e < d", ""),
                ("out < e", ""),
            ],
            &["in-0.0", "e-0.0"],
        ),
    ];
    for (stages, expected) in cases {
        let scenario = pipeline(stages);
        let mut running = scenario.start_with(["--isolation", "process"]);
        let operators = stages.iter().filter(|(stage, _)| stage.contains(" < ") && !stage.starts_with("out"));
        let workers: usize = operators.map(|(_, more)| 1 + usize::from(more.contains("2"))).sum();
        running.until("all workers ran", |process| (workers_of(process).len() >= workers).then_some(()));
        assert_eq!(lanes(&running), expected.iter().map(|&name| name.to_owned()).collect(), "{stages:?}");
        running.signal(Signal::INT);
        running.wait().expect_exit(0).expect_conservation();
    }
}

#[test]
fn a_worker_that_is_killed_while_nothing_is_under_way_is_replaced_before_the_next_record() {
    let slow = "generate = { rate = 1, count = 3, payload_bytes = 16 }";
    let scenario = pipeline(&[("in", slow), ("a < in", ""), ("b < a", ""), ("out < b", "")]);
    let port = free_port();
    let mut running = scenario.start_with(["--isolation", "process", "--metrics", &format!("127.0.0.1:{port}")]);
    let before: BTreeSet<u32> = running.until("both workers ran", |process| {
        let workers = workers_of(process);
        (workers.len() == 2).then(|| workers.into_iter().collect())
    });
    let arrived = || metric(port, "sage_records_in_total", "operator=\"out\"").unwrap_or(0.0);
    running.until("the first record had arrived", |_| (arrived() >= 1.0).then_some(()));
    let arrived_before = arrived();
    let worker = *before.last().unwrap();
    kill_process(Pid::from_raw(i32::try_from(worker).unwrap()).unwrap(), Signal::KILL).unwrap();
    running.until("another one ran", |process| {
        let workers = workers_of(process);
        (workers.len() == 2 && workers.iter().any(|worker| !before.contains(worker))).then_some(())
    });
    assert_eq!(arrived(), arrived_before, "it ran before the next record arrived");
    let outcome = running.wait();
    outcome.expect_exit(0).expect_conservation();
    assert_eq!(outcome.stage("out").count("handled"), 3);
    assert_eq!(["a", "b"].map(|stage| outcome.stage(stage).count("workers_lost")).iter().sum::<u64>(), 1);
    assert_eq!(["a", "b"].map(|stage| outcome.stage(stage).count("retried")), [0, 0]);
}

#[test]
fn a_thread_sleeps_while_what_is_there_for_one_of_its_lanes_has_to_wait_for_the_next() {
    let scenario = Scenario::new();
    // Far more batches than the two operators can have in flight; the first call of the second operator never
    // ends.
    scenario.file("in.txt", "1000000000000\n".repeat(200_000));
    scenario.pipeline(&format!(
        r#"
        [pipeline]
        name = "chains"
        [[source]]
        name = "in"
        file = {{ path = "in.txt", format = "lines" }}
        [[operator]]
        name = "a"
        input = "in"
        component = "{}"
        [[operator]]
        name = "b"
        input = "a"
        component = "{}"
        limits = {{ cpu_time_per_call = "1h", call_timeout = "2h" }}
        [[sink]]
        name = "out"
        input = "b"
        discard = {{}}
        "#,
        operator("identity").display(),
        guest("map_spins").display(),
    ));
    let mut running = scenario.start_with(["--isolation", "process"]);
    let used = |process, name: &str| {
        let threads = thread_cpus(process).into_keys().filter(|(thread, _)| thread.starts_with(name));
        threads.filter_map(|(_, thread)| Some(thread_times(process, thread)?.used)).sum::<Duration>()
    };
    running.until("a worker was busy", |process| {
        let busy = |worker| used(worker, "sage-lane") > Duration::from_millis(300);
        workers_of(process).into_iter().any(busy).then_some(())
    });
    let before = used(running.id(), "a-0.0");
    // The CPU time of half a second is measured.
    std::thread::sleep(Duration::from_millis(500));
    let spent = used(running.id(), "a-0.0") - before;
    assert!(spent < Duration::from_millis(50), "{spent:?} of 500 ms, and nothing to do");
    // Two different signals, because the kernel merges two pending signals of the same kind.
    running.signal(Signal::INT);
    running.signal(Signal::TERM);
    running.wait().expect_exit(130);
}
