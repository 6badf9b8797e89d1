//! CPU promises, watched from outside through /proc: who runs where, how much, and for how long.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use sage_tests::{Codes, Running, Scenario, allowed_cpus, guest, thread_cpus, thread_times};

/// Endless work for `guest`, beside an operator without a CPU of its own.
fn endless(resources: &str, extra: &str) -> Scenario {
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
        {extra}
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

/// The CPUs of the lanes of `guest`, once there are `count` of them, and everybody else's.
fn lanes(running: &mut Running, count: usize) -> (Vec<BTreeSet<u32>>, BTreeSet<u32>) {
    running.until("its lanes were in their places", |process| {
        let threads = thread_cpus(process);
        let is_guest = |name: &str| name.starts_with("guest-");
        let own: Vec<BTreeSet<u32>> =
            threads.iter().filter(|((name, _), _)| is_guest(name)).map(|(_, cpus)| cpus.clone()).collect();
        // Other lanes by their names; the program's own threads (main, ticker, signals) are no lanes.
        let other = |name: &str| ["calm-", "in-", "out-"].iter().any(|prefix| name.starts_with(prefix));
        let others: Vec<_> = threads.iter().filter(|((name, _), _)| other(name)).collect();
        let placed = own.len() == count && own.iter().all(|cpus| cpus.len() == 1) && others.len() == 3;
        placed.then(|| (own, others.into_iter().flat_map(|(_, cpus)| cpus.clone()).collect()))
    })
}

fn needs_cpus(count: usize) -> bool {
    let there = allowed_cpus().len();
    if there < count {
        eprintln!("skipped: this test needs {count} CPUs, there are {there}");
    }
    there >= count
}

#[test]
fn a_whole_cpu_is_one_lane_on_one_cpu_where_no_other_lane_runs() {
    if !needs_cpus(2) {
        return;
    }
    let scenario = endless("num_cpus = 1", "");
    let mut running = scenario.start();
    let (own, others) = lanes(&mut running, 1);
    let cpu = *own[0].first().unwrap();
    assert!(allowed_cpus().contains(&cpu), "within the process's own set");
    assert!(!others.contains(&cpu), "others run on {others:?}, the lease is {cpu}");
    running.signal(rustix::process::Signal::INT);
    running.wait().expect_exit(0).expect_conservation();
}

#[test]
fn two_runs_never_share_a_leased_cpu_and_a_third_is_refused() {
    let there = allowed_cpus().len();
    if !needs_cpus(2) {
        return;
    }
    let (first, second, third) =
        (endless("num_cpus = 1", ""), endless(&format!("num_cpus = {}", there - 1), ""), endless("num_cpus = 1", ""));
    let leases = first.path().join("leases");
    let sharing = |scenario: &Scenario| scenario.start_with(["--lease-folder", leases.to_str().unwrap()]);
    let (mut one, mut two) = (first.start(), sharing(&second));
    let taken = lanes_only(&mut one, 1);
    let rest = lanes_only(&mut two, there - 1);
    assert!(taken.is_disjoint(&rest), "{taken:?} and {rest:?}");
    let refused = sharing(&third).wait();
    refused.expect_exit(3).expect_stderr("guest").expect_stderr("0").expect_stderr("free").expect_stderr("hint");
    // With --overcommit it runs, unpinned.
    let mut over = third.start_with(["--lease-folder", leases.to_str().unwrap(), "--overcommit"]);
    over.until("it ran unpinned", |process| {
        let threads = thread_cpus(process);
        threads.iter().any(|((name, _), cpus)| name.starts_with("guest-") && cpus.len() > 1).then_some(())
    });
    drop(over);
    // Killed, not stopped: the kernel gives its CPUs back.
    one.signal(rustix::process::Signal::KILL);
    one.gone();
    let mut again = sharing(&third);
    assert_eq!(lanes_only(&mut again, 1), taken);
}

/// The CPUs of `guest`'s lanes, whatever the others do.
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
fn a_second_signal_stops_at_once() {
    let scenario = Scenario::new();
    scenario.pipeline(&format!(
        r#"
        [pipeline]
        name = "stuck"
        [[source]]
        name = "in"
        generate = {{ rate = 100, payload_bytes = 16, seed = 1 }}
        [[operator]]
        name = "guest"
        component = "{}"
        input = "in"
        limits = {{ call_timeout = "1000s" }}
        [[sink]]
        name = "out"
        input = "guest"
        discard = {{}}
        "#,
        guest("map_naps").display()
    ));
    let mut running = scenario.start();
    running.until("its lane was there", |process| {
        thread_cpus(process).into_keys().any(|(name, _)| name.starts_with("guest-")).then_some(())
    });
    running.signal(rustix::process::Signal::INT);
    std::thread::sleep(Duration::from_millis(50));
    running.signal(rustix::process::Signal::INT);
    assert_eq!(running.wait().exit(), 130);
}
