use std::fs;
use std::process::Command;

use rustix::process::Signal;
use sage_tests::{Outcome, Running, Scenario, program};

use super::scene::{Scene, counted, killed_at};

/// A command on folders of checkpoints.
fn state(scenario: &Scenario, arguments: &[&str]) -> Outcome {
    let mut command = Command::new(program());
    command.current_dir(scenario.path()).arg("state").args(arguments);
    scenario.run_command(&mut command)
}

/// Takes a savepoint of the run in a scenario.
fn savepoint(scenario: &Scenario, arguments: &[&str]) -> Outcome {
    state(scenario, &[&["savepoint", "state"], arguments].concat())
}

/// A run of the scene that has written this many bytes.
fn under_way(scene: &Scene, scenario: &Scenario, bytes: u64) -> Running {
    let partial = scenario.path().join(format!("{}.partial", scene.clock));
    let mut run = scenario.start();
    run.until("some output", |_| fs::metadata(&partial).ok().filter(|file| file.len() >= bytes));
    run
}

#[test]
fn a_run_goes_on_from_a_savepoint_that_keep_never_removes() {
    let scene = counted();
    let scenario = scene.scenario(true);
    let run = under_way(&scene, &scenario, 40_000);
    let taken = savepoint(&scenario, &["--name", "first"]);
    taken.expect_exit(0);
    assert_eq!(taken.stdout, "savepoint first in state/savepoints/first\n");
    savepoint(&scenario, &["--name", "first"]).expect_exit(2).expect_stderr("state/savepoints/first already");
    run.wait().expect_exit(0);
    // Many epochs later, the segments of its epoch are gone from the log.
    for what in ["verify", "inspect"] {
        state(&scenario, &[what, "state/savepoints/first"]).expect_exit(0);
    }
    let words = fs::read_to_string(scenario.path().join("state/savepoints/first/manifest.toml")).unwrap();
    assert!(words.contains("pipeline = \"counted\"") && words.contains("name = \"count\""), "{words}");
    for _ in 0..2 {
        let again = scenario.run_with(["--from", "state/savepoints/first"]);
        again.expect_exit(0).expect_conservation();
        assert!(again.summary()["continued_from"].as_u64().is_some());
        assert!(again.stage("in").count("records_out") < 40_000, "it goes on from the middle");
        assert_eq!(scene.outputs(&scenario), scene.undisturbed());
    }
    scenario.run_with(["--from", "state/savepoints"]).expect_exit(2).expect_stderr("is no savepoint");
    scenario.run_with(["--from", "state/savepoints/none"]).expect_exit(2).expect_stderr("the folder of a savepoint");
}

#[test]
fn a_run_that_stops_at_a_savepoint_and_one_that_is_killed_behind_it_both_leave_something_to_go_on_from() {
    let scene = counted();
    let scenario = scene.scenario(true);
    let run = under_way(&scene, &scenario, 40_000);
    savepoint(&scenario, &["--name", "stop", "--stop"]).expect_exit(0);
    let stopped = run.wait();
    stopped.expect_exit(130);
    let from = ["--from", "state/savepoints/stop"];
    // A run that is killed soon after it began leaves the savepoint as its last epoch.
    let outcome = killed_at(&scene, &scenario, 41_000, Signal::KILL, &from);
    assert!(outcome.is_some());
    let last = scenario.run();
    last.expect_exit(0).expect_conservation();
    assert!(last.summary()["continued_from"].as_u64().is_some());
    assert_eq!(scene.outputs(&scenario), scene.undisturbed());
}

#[test]
fn a_savepoint_of_an_output_in_parts_names_whole_parts_only() {
    let scenario = Scenario::new();
    let pipeline = "[pipeline]\ncheckpoint = { folder = \"state\", interval = \"20ms\", keep = 1 }\n[[source]]\n\
                    name = \"in\"\ngenerate = { count = 40000, rate = 40000, payload_bytes = 8 }\n[[sink]]\nname = \"out\"\n\
                    input = \"in\"\nfile = { path = \"out-{part}.txt\", roll = { size = \"1GiB\" } }\n";
    scenario.pipeline(pipeline);
    let mut run = scenario.start();
    let partial = scenario.path().join("out-0000000001.txt.partial");
    run.until("some output", |_| fs::metadata(&partial).ok().filter(|file| file.len() >= 50_000));
    savepoint(&scenario, &["--name", "a", "--stop"]).expect_exit(0);
    run.wait().expect_exit(130);
    let part = scenario.path().join("out-0000000001.txt");
    let before = fs::read(&part).unwrap();
    assert!(before.ends_with(b"\n") && before.len() >= 50_000);
    // The next run from the beginning removes its leftovers, and the savepoint has none of them.
    scenario.run_with(["--from", "none"]).expect_exit(0);
    assert_eq!(fs::read(&part).unwrap(), before);
    scenario.run_with(["--from", "state/savepoints/a"]).expect_exit(0);
    let last = scenario.path().join("out-0000000003.txt");
    let records = [before, fs::read(last).unwrap()].concat().split(|byte| *byte == b'\n').count() - 1;
    assert_eq!(records, 40_000);
}

#[test]
fn a_savepoint_needs_a_run_and_a_name() {
    let scene = counted();
    let scenario = scene.scenario(true);
    savepoint(&scenario, &[]).expect_exit(2).expect_stderr("state has no checkpoints");
    let run = under_way(&scene, &scenario, 20_000);
    savepoint(&scenario, &["--name", "../a"]).expect_exit(2).expect_stderr("\"../a\" is not the name of a savepoint");
    run.wait().expect_exit(0);
    savepoint(&scenario, &[]).expect_exit(3).expect_stderr("no run has the checkpoints in state");
}
