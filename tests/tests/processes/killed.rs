//! Workers that are killed from outside at any moment: no record is lost and none is there twice.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use sage_tests::{Running, Scenario, guest, operator, thread_cpus, thread_times, workers_of};

const RECORDS: usize = 20_000;
/// Microseconds of CPU time after which a worker is killed, at most.
const MOST_CPU_TIME: u64 = 15_000;

/// Counts of 50 keys in two instances, behind one instance of a map and one of a key-by. The pipeline has
/// state, partitions, and stages that pass records on.
fn counting(input: &Path) -> Scenario {
    let scenario = Scenario::new();
    scenario.pipeline(&format!(
        r#"
        [pipeline]
        name = "killed"
        [[source]]
        name = "in"
        file = {{ path = "{}", format = "lines" }}
        [[operator]]
        name = "same"
        component = "{}"
        input = "in"
        [[operator]]
        name = "key"
        component = "{}"
        input = "same"
        [[operator]]
        name = "count"
        component = "{}"
        input = "key"
        parallelism = 2
        partition = "key"
        [[sink]]
        name = "out"
        input = "count"
        file = {{ path = "out.jsonl" }}
        "#,
        input.display(),
        operator("identity").display(),
        operator("key_field").display(),
        operator("count").display(),
    ));
    scenario
}

/// Number of occurrences of each output line.
fn lines(scenario: &Scenario) -> BTreeMap<String, u32> {
    let mut lines = BTreeMap::new();
    for line in scenario.lines("out.jsonl") {
        *lines.entry(line).or_default() += 1;
    }
    lines
}

fn kill(worker: u32) -> bool {
    kill_process(Pid::from_raw(i32::try_from(worker).unwrap()).unwrap(), Signal::KILL).is_ok()
}

/// CPU time of all threads of a process.
fn used(process: u32) -> Duration {
    thread_cpus(process).keys().filter_map(|(_, thread)| Some(thread_times(process, *thread)?.used)).sum()
}

/// Kills one of `count` workers as soon as it has used this CPU time. The moment is one of the worker's own work, so
/// it does not depend on the load of the machine. The result is false if the run ends before.
fn kill_after(running: &mut Running, count: usize, which: usize, cpu_time: Duration) -> bool {
    let worker = running.while_it_runs(|process| {
        let workers = workers_of(process);
        (workers.len() >= count).then(|| workers[which % workers.len()])
    });
    let Some(worker) = worker else { return false };
    running.while_it_runs(|_| (used(worker) >= cpu_time).then(|| kill(worker))).unwrap_or(false)
}

#[test]
fn two_hundred_runs_with_a_worker_killed_at_some_moment_count_every_record_once() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("in.txt");
    let records: Vec<String> = (0..RECORDS).map(|number| format!("k{} record {number}", number * 7919 % 50)).collect();
    std::fs::write(&input, records.join("\n")).unwrap();
    let undisturbed = counting(&input);
    undisturbed.run_with(["--isolation", "process"]).expect_exit(0).expect_conservation();
    let expected = lines(&undisturbed);
    assert_eq!(expected.len(), RECORDS / 50, "each key's records are counted up to as many as there are");
    let mut hits = 0;
    let mut lost = 0;
    for seed in 0..200_u64 {
        let random = (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let scenario = counting(&input);
        let mut running = scenario.start_with(["--isolation", "process"]);
        let cpu_time = Duration::from_micros((random >> 20) % MOST_CPU_TIME);
        hits += u32::from(kill_after(&mut running, 4, usize::try_from(random % 4).unwrap(), cpu_time));
        let outcome = running.wait();
        outcome.expect_exit(0).expect_conservation();
        lost += ["same", "key", "count"].map(|stage| outcome.stage(stage).count("workers_lost")).iter().sum::<u64>();
        assert_eq!(lines(&scenario), expected, "seed {seed}");
    }
    println!("{hits} of 200 workers were there to be killed, {lost} had calls in flight");
    assert!(hits > 50 && lost > 20, "{hits} hit, {lost} lost");
}

#[test]
fn a_source_goes_on_where_it_stood_though_nothing_is_to_be_tried_again() {
    let scenario = Scenario::new();
    scenario.pipeline(&format!(
        r#"
        [pipeline]
        name = "killed-source"
        [[source]]
        name = "in"
        component = "{}"
        retries = 0
        [[sink]]
        name = "out"
        input = "in"
        file = {{ path = "out.txt" }}
        "#,
        guest("source_never_ends").display(),
    ));
    let partial = scenario.path().join("out.txt.partial");
    let written = || std::fs::metadata(&partial).map_or(0, |metadata| metadata.len());
    let more_written = |running: &mut Running| {
        let before = written();
        running.until("more records were written", |_| (written() > before).then_some(()));
    };
    let mut running = scenario.start_with(["--isolation", "process"]);
    for _ in 0..3 {
        let worker = running.until("a worker ran", |process| workers_of(process).first().copied());
        more_written(&mut running);
        kill(worker);
        running.until("another worker ran", |process| {
            workers_of(process).first().is_some_and(|&other| other != worker).then_some(())
        });
    }
    more_written(&mut running);
    running.signal(Signal::INT);
    let outcome = running.wait();
    outcome.expect_exit(0).expect_conservation();
    assert!(outcome.stage("in").count("workers_lost") > 0);
    let lines = scenario.lines("out.txt");
    let expected: Vec<String> = (0..lines.len()).map(|number| format!("r{number}")).collect();
    assert!(lines == expected, "{} lines, and not each once and in order", lines.len());
}

#[test]
fn a_sink_component_whose_worker_is_killed_at_some_moment_loses_no_record() {
    let records: Vec<String> = (0..RECORDS).map(|number| format!("record {number}")).collect();
    let mut lost = 0;
    for seed in 0..20_u64 {
        let random = (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let scenario = Scenario::new();
        scenario.file("in.txt", records.join("\n"));
        std::fs::create_dir(scenario.path().join("written")).unwrap();
        scenario.pipeline(&format!(
            r#"
            [pipeline]
            name = "killed-sink"
            [[source]]
            name = "in"
            file = {{ path = "in.txt", format = "lines" }}
            [[sink]]
            name = "to"
            input = "in"
            component = "{}"
            limits = {{ flush_interval = "2ms" }}
            capabilities = {{ folders = [{{ host = "written", guest = "/out", write = true }}] }}
            "#,
            guest("sink_gathers").display(),
        ));
        let mut running = scenario.start_with(["--isolation", "process"]);
        kill_after(&mut running, 1, 0, Duration::from_micros((random >> 20) % MOST_CPU_TIME));
        let outcome = running.wait();
        outcome.expect_exit(0).expect_conservation();
        lost += outcome.stage("to").count("workers_lost");
        assert_eq!(outcome.stage("to").count("handled"), RECORDS as u64, "seed {seed}");
        let written = scenario.read("written/written.txt").unwrap_or_default();
        let written: BTreeSet<&str> = written.lines().collect();
        let missing = records.iter().filter(|record| !written.contains(record.as_str())).count();
        assert_eq!(missing, 0, "seed {seed}");
    }
    println!("{lost} of 20 workers were there to be killed");
    assert!(lost > 3, "{lost}");
}
