use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use rustix::process::Signal;
use sage_tests::{Outcome, Scenario, operator, program};

use super::scene::CHECKPOINT;

/// The places at which a run can be made to fail, with what the run does when the operation there fails.
const POINTS: [(&str, OnError); 11] = [
    ("store.before_write", OnError::Fails),
    ("store.half_frame", OnError::Fails),
    ("store.before_sync", OnError::Fails),
    ("store.after_sync", OnError::Fails),
    ("lane.crossing", OnError::Fails),
    ("sink.prepared", OnError::Fails),
    ("sink.commit_half", OnError::Fails),
    ("sink.committed", OnError::Fails),
    ("segment_delete", OnError::Fails),
    ("restore.half", OnError::Refuses),
    ("savepoint.rename", OnError::GoesOn),
];

#[derive(Clone, Copy, PartialEq)]
enum OnError {
    /// The run fails.
    Fails,
    /// The run does not start.
    Refuses,
    GoesOn,
}

/// Counts by key, in one file and in parts, with a folder small enough for segments to be deleted.
fn pipeline(settings: &str) -> String {
    format!(
        r#"
[pipeline]
{settings}
[[source]]
name = "in"
generate = {{ count = 10000, rate = 25000, payload_bytes = 16, keys = 100 }}
[[operator]]
name = "count"
component = "{}"
input = "in"
partition = "key"
parallelism = 2
[[sink]]
name = "out"
input = "count"
file = {{ path = "out.txt" }}
[[sink]]
name = "parts"
input = "count"
file = {{ path = "part-{{part}}.txt", roll = {{ size = "4KiB" }} }}
"#,
        operator("count").display()
    )
}

/// The sorted records of the file, and of all published parts together.
fn outputs(scenario: &Scenario) -> [Vec<String>; 2] {
    let parts = published(scenario);
    let mut lines: Vec<String> = parts.values().flat_map(|text| text.lines().map(str::to_owned)).collect();
    let mut whole = scenario.lines("out.txt");
    lines.sort();
    whole.sort();
    [whole, lines]
}

fn published(scenario: &Scenario) -> BTreeMap<String, String> {
    let entries = fs::read_dir(scenario.path()).unwrap().map(|entry| entry.unwrap().path());
    let parts = entries.filter(|path| path.extension().is_some_and(|ending| ending == "txt"));
    let parts = parts.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("part-"));
    parts.map(|path| (path.display().to_string(), fs::read_to_string(&path).unwrap())).collect()
}

fn run_with(scenario: &Scenario, fault: &str) -> sage_tests::Running {
    scenario.start_command(scenario.command("run").args(["--output", "json", "--quiet"]).env("SAGE_FAULT", fault))
}

fn savepoint(scenario: &Scenario) -> Outcome {
    let mut command = Command::new(program());
    command.current_dir(scenario.path()).args(["state", "savepoint", "state", "--name", "a"]);
    scenario.run_command(&mut command)
}

fn fresh() -> Scenario {
    let scenario = Scenario::new();
    scenario.pipeline(&pipeline(CHECKPOINT));
    scenario
}

/// A scenario with a run that was killed in the middle.
fn interrupted() -> Scenario {
    let scenario = fresh();
    let partial = scenario.path().join("out.txt.partial");
    let mut run = scenario.start();
    run.until("some output", |_| fs::metadata(&partial).ok().filter(|file| file.len() > 20_000));
    run.signal(Signal::KILL);
    run.gone();
    scenario
}

/// Lets a run meet a fault, and returns the published parts of that moment. `false` if it never came to the point.
fn meet(scenario: &Scenario, point: &str, nth: u32, kind: &str, on_error: OnError) -> bool {
    let mut run = run_with(scenario, &format!("{point}:{nth}:{kind}"));
    // A savepoint begins a segment, so the one before it is deleted soon.
    let asked = needs_savepoint(point).then(|| {
        let partial = scenario.path().join("out.txt.partial");
        let before = fs::metadata(&partial).map_or(0, |file| file.len());
        run.while_it_runs(|_| fs::metadata(&partial).ok().filter(|file| file.len() > before));
        savepoint(scenario)
    });
    match kind {
        "kill" => return run.was_killed(),
        "pause" => {
            let paused = run.while_it_runs(|id| is_stopped(id).then_some(()));
            if paused.is_some() {
                run.signal(Signal::CONT);
            }
            run.wait().expect_exit(0);
            return paused.is_some();
        }
        _ => {
            let outcome = run.wait();
            match on_error {
                OnError::Fails if outcome.exit() == 0 => return false,
                OnError::Fails => drop(outcome.expect_exit(4).expect_stderr(point)),
                OnError::Refuses => drop(outcome.expect_exit(2).expect_stderr(point)),
                OnError::GoesOn => {
                    outcome.expect_exit(0);
                    asked.unwrap().expect_exit(3).expect_stderr(point);
                }
            }
        }
    }
    true
}

fn needs_savepoint(point: &str) -> bool {
    ["savepoint.rename", "segment_delete"].contains(&point)
}

fn is_stopped(process: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    status.rsplit(") ").next().is_some_and(|state| state.starts_with('T'))
}

#[test]
fn a_fault_at_any_point_loses_nothing_and_repeats_nothing() {
    let reference = Scenario::new();
    reference.pipeline(&pipeline(""));
    reference.run().expect_exit(0);
    let expected = outputs(&reference);
    // The runs wait most of the time.
    for points in POINTS.chunks(4) {
        std::thread::scope(|scope| {
            for (point, on_error) in points {
                let expected = &expected;
                scope.spawn(move || survives(point, *on_error, expected));
            }
        });
    }
}

/// Lets a run meet each kind of fault at a point, and another one go on behind it.
fn survives(point: &str, on_error: OnError, expected: &[Vec<String>; 2]) {
    for (kind, nth) in [("kill", 2), ("error", 1), ("pause", 2)] {
        if on_error == OnError::GoesOn && kind == "pause" {
            // Whoever asked for the savepoint would wait for the run that waits for the test.
            continue;
        }
        let nth = if needs_savepoint(point) { 1 } else { nth };
        let scenario = if on_error == OnError::Refuses { interrupted() } else { fresh() };
        assert!(meet(&scenario, point, nth, kind, on_error), "no run comes to {point} {nth} times: {kind}");
        let before = published(&scenario);
        if !scenario.path().join("out.txt").exists() {
            scenario.run().expect_exit(0).expect_conservation();
        }
        let after = published(&scenario);
        assert!(before.iter().all(|(name, text)| after.get(name) == Some(text)), "{point}, {kind}: a part changed");
        assert!(outputs(&scenario) == *expected, "{point}, {kind}: other records than those of a calm run");
    }
}
