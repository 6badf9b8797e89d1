//! The promises about CPUs, observed from outside through /proc: the CPUs of each thread, its CPU time and
//! its waiting time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use sage_test_support::{Need, skip};
use sage_tests::{Codes, Running, Scenario, allowed_cpus, guest, thread_cpus, thread_times};

/// A pipeline without end: operator `guest` with these resources, beside an operator without a CPU of its
/// own.
fn endless(resources: &str) -> Scenario {
    let scenario = Scenario::new();
    scenario.file("host.toml", "[reserve]\ncpus = 0\n");
    scenario.pipeline(&format!(
        r#"
        [pipeline]
        name = "cpu"
        [[source]]
        name = "in"
        generate = {{ rate = 2000, payload_bytes = 16, seed = 1 }}
        [[operator]]
        name = "guest"
        component = "{}"
        input = "in"
        resources = {{ {resources} }}
        [[operator]]
        name = "calm"
        component = "{}"
        input = "in"
        [[sink]]
        name = "out"
        input = ["guest", "calm"]
        discard = {{}}
        "#,
        guest("map_shouts").display(),
        guest("map_shouts").display()
    ));
    scenario
}

/// The CPUs of each lane of `guest`, and the CPUs that the other lanes may use, after every lane has started
/// and moved.
fn placed(running: &mut Running, count: usize) -> (Vec<BTreeSet<u32>>, BTreeSet<u32>) {
    running.until("its lanes were in their places", |process| {
        let (own, others) = lanes(process);
        // A new thread may run on the CPUs of the thread that made it, until it moves.
        let pinned = own.len() == count && own.iter().all(|cpus| cpus.len() == 1);
        let elsewhere =
            others.len() == 3 && own.iter().flatten().all(|cpu| others.iter().all(|cpus| !cpus.contains(cpu)));
        (pinned && elsewhere).then(|| (own, others.into_iter().flatten().collect()))
    })
}

/// The CPUs of each lane of `guest`, and of each other lane. The program's own threads (main, ticker,
/// signals) are not lanes.
fn lanes(process: u32) -> (Vec<BTreeSet<u32>>, Vec<BTreeSet<u32>>) {
    let threads = thread_cpus(process);
    let of = |stages: &[&str]| {
        let named = |name: &str| stages.iter().any(|stage| name.starts_with(stage));
        threads.iter().filter(|((name, _), _)| named(name)).map(|(_, cpus)| cpus.clone()).collect()
    };
    (of(&["guest-"]), of(&["calm-", "in-", "out-"]))
}

fn needs_cpus(count: usize) -> bool {
    let there = allowed_cpus().len();
    if there < count {
        skip(Need::Cpus, format_args!("the test needs {count} CPUs, this process may use {there}"));
    }
    there >= count
}

#[test]
fn a_whole_cpu_is_one_lane_on_one_cpu_where_no_other_lane_runs() {
    if !needs_cpus(2) {
        return;
    }
    let scenario = endless("num_cpus = 1");
    let mut running = scenario.start();
    let (own, others) = placed(&mut running, 1);
    assert!(own[0].is_subset(&allowed_cpus()) && others.is_subset(&allowed_cpus()), "within the process's own set");
    for _ in 0..50 {
        let (still, others) = lanes(running.id());
        assert!(still == own && others.iter().all(|cpus| cpus.is_disjoint(&own[0])), "{still:?} and {others:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
    running.signal(rustix::process::Signal::INT);
    running.wait().expect_exit(0).expect_conservation();
}

#[test]
fn two_runs_never_share_a_leased_cpu_and_a_third_is_refused() {
    let there = allowed_cpus().len();
    if !needs_cpus(2) {
        return;
    }
    let first = endless("num_cpus = 1");
    let second = endless(&format!("num_cpus = {}", there - 1)).sharing_leases_of(&first);
    let third = endless("num_cpus = 1").sharing_leases_of(&first);
    let start = |scenario: &Scenario| scenario.start_with(["--host", "host.toml"]);
    let (mut one, mut two) = (start(&first), start(&second));
    let taken = lanes_only(&mut one, 1);
    let rest = lanes_only(&mut two, there - 1);
    assert!(taken.is_disjoint(&rest), "{taken:?} and {rest:?}");
    let refused = start(&third).wait();
    refused.expect_exit(3).expect_stderr("guest").expect_stderr("0").expect_stderr("free").expect_stderr("hint");
    // With --overcommit the pipeline runs unpinned.
    let mut over = third.start_with(["--host", "host.toml", "--overcommit"]);
    over.until("it ran unpinned", |process| {
        let threads = thread_cpus(process);
        threads.iter().any(|((name, _), cpus)| name.starts_with("guest-") && cpus.len() > 1).then_some(())
    });
    drop(over);
    // The run is killed, not stopped: the kernel releases its CPU leases.
    one.signal(rustix::process::Signal::KILL);
    one.gone();
    let mut again = start(&third);
    assert_eq!(lanes_only(&mut again, 1), taken);
}

/// The CPUs of the lanes of `guest`, without regard to the other lanes.
fn lanes_only(running: &mut Running, count: usize) -> BTreeSet<u32> {
    running.until("its lanes were in their places", |process| {
        let own: Vec<BTreeSet<u32>> = thread_cpus(process)
            .into_iter()
            .filter(|((name, _), _)| name.starts_with("guest-"))
            .map(|(_, cpus)| cpus)
            .collect();
        (own.len() == count && own.iter().all(|cpus| cpus.len() == 1)).then(|| own.into_iter().flatten().collect())
    })
}

#[test]
fn a_quarter_of_a_cpu_is_a_quarter_for_a_guest_that_never_yields() {
    let scenario = Scenario::new();
    // Each record keeps the guest busy for seconds.
    scenario.file("in.txt", "r9000000000\n".repeat(50));
    scenario.pipeline(&format!(
        r#"
        [pipeline]
        name = "share"
        [[source]]
        name = "in"
        file = {{ path = "in.txt", format = "lines" }}
        [[operator]]
        name = "guest"
        component = "{}"
        input = "in"
        resources = {{ num_cpus = 0.25 }}
        limits = {{ cpu_time_per_call = "100s", call_timeout = "1000s" }}
        [[sink]]
        name = "out"
        input = "guest"
        discard = {{}}
        "#,
        guest("map_spins").display()
    ));
    let mut running = scenario.start();
    let thread = running.until("its lane was busy", |process| {
        let busy =
            |thread: &u32| thread_times(process, *thread).is_some_and(|times| times.used > Duration::from_millis(50));
        thread_cpus(process).into_keys().find(|(name, id)| name.starts_with("guest-") && busy(id)).map(|(_, id)| id)
    });
    let process = running.id();
    for _ in 0..3 {
        let (before, started) = (thread_times(process, thread).unwrap(), Instant::now());
        std::thread::sleep(Duration::from_secs(1));
        let (after, wall) = (thread_times(process, thread).unwrap(), started.elapsed().as_secs_f64());
        let used = (after.used - before.used).as_secs_f64() / wall;
        let waited = (after.waited - before.waited).as_secs_f64() / wall;
        assert!(used <= 0.275, "used {used} of a CPU, in a second of {wall} s");
        assert!(used + waited >= 0.225, "used {used} and waited {waited} for a CPU, in {wall} s");
    }
}

#[test]
fn an_infinite_loop_is_stopped_within_twice_its_time() {
    let scenario = Scenario::new();
    scenario.file("in.txt", "poison\n");
    scenario.pipeline(&format!(
        r#"
        [pipeline]
        name = "loop"
        [[source]]
        name = "in"
        file = {{ path = "in.txt", format = "lines" }}
        [[operator]]
        name = "guest"
        component = "{}"
        input = "in"
        limits = {{ cpu_time_per_call = "300ms" }}
        retries = 0
        on_error = {{ dead_letter = "dead.jsonl" }}
        [[sink]]
        name = "out"
        input = "guest"
        discard = {{}}
        "#,
        guest("map_loops_for_ever").display()
    ));
    let outcome = scenario.run();
    outcome.expect_exit(0).expect_conservation();
    let seconds = outcome.stage("guest").value["cpu_seconds"].as_f64().unwrap();
    assert!((0.3..=0.6).contains(&seconds), "one call, stopped after {seconds} s of CPU time\n{outcome:?}");
    assert_eq!(outcome.dead_letters("dead.jsonl")[0].text("code"), Codes::CPU_TIME);
}

#[test]
fn a_second_signal_stops_at_once_whatever_a_guest_does() {
    let scenario = Scenario::new();
    scenario.file("in.txt", "poison\n");
    scenario.pipeline(&format!(
        r#"
        [pipeline]
        name = "stuck"
        [[source]]
        name = "in"
        file = {{ path = "in.txt", format = "lines" }}
        [[operator]]
        name = "guest"
        component = "{}"
        input = "in"
        limits = {{ call_timeout = "1000s" }}
        [[sink]]
        name = "out"
        input = "guest"
        file = {{ path = "out.txt" }}
        "#,
        guest("map_sleeps").display()
    ));
    let mut running = scenario.start();
    let slept = |process| {
        let threads = thread_cpus(process);
        let is_there = |lane: &str| threads.keys().any(|(name, _)| name == lane);
        (is_there("guest-0.0") && is_there("out-0.0") && !is_there("in-0.0")).then_some(())
    };
    running.until("the source had ended", slept);
    let started = Instant::now();
    running.signal(rustix::process::Signal::INT);
    // A different signal, because the kernel merges two pending signals of the same kind.
    running.signal(rustix::process::Signal::TERM);
    assert_eq!(running.wait().exit(), 130);
    assert!(started.elapsed() < Duration::from_secs(10), "an hour of sleep is not waited for");
    assert_eq!(scenario.read("out.txt"), None);
}
