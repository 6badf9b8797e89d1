use std::fs;

use rustix::process::Signal;
use sage_tests::Scenario;

use super::scene::{Scene, components, counted, killed_at, windowed};

/// Replaces a text in the pipeline.
fn change(scenario: &Scenario, from: &str, to: &str) {
    let pipeline = fs::read_to_string(scenario.path().join("pipeline.toml")).unwrap();
    assert!(pipeline.contains(from), "{from} is not in\n{pipeline}");
    scenario.file("pipeline.toml", pipeline.replacen(from, to, 1));
}

/// A scene whose stateful operator has this text for its instances, run with further numbers of instances behind each
/// kill.
fn rescaled(scene: &Scene, (before, behind): (&str, &[&str])) {
    let expected = scene.undisturbed();
    let whole: u64 = expected[0].iter().map(|line| line.len() as u64 + 1).sum();
    let scenario = scene.scenario(true);
    change(&scenario, "rate = 60000", "rate = 20000");
    let mut now = before.to_owned();
    for (number, next) in (1_u64..).zip(behind) {
        let at = whole * number / (behind.len() as u64 + 1);
        killed_at(scene, &scenario, at, Signal::KILL, &[]).expect("the run is slower than this");
        change(&scenario, &now, next);
        (*next).clone_into(&mut now);
    }
    scenario.run().expect_exit(0).expect_conservation();
    assert_eq!(scene.outputs(&scenario), expected);
}

#[test]
fn a_count_by_key_that_goes_from_two_instances_to_one_to_four_to_three_is_that_of_a_calm_run() {
    rescaled(&counted(), ("parallelism = 2\n", &["parallelism = 1\n", "parallelism = 4\n", "parallelism = 3\n"]));
}

#[test]
fn an_epoch_and_a_savepoint_can_be_rescaled_alike() {
    let scene = counted();
    let scenario = scene.scenario(true);
    let outcome = killed_at(&scene, &scenario, 100_000, Signal::TERM, &[]).expect("the run is slower than this");
    let last = outcome.summary()["last_epoch"].as_u64().unwrap();
    change(&scenario, "parallelism = 2", "parallelism = 4");
    let outcome = scenario.run_with(["--from", &format!("epoch:{last}")]);
    outcome.expect_exit(0).expect_conservation();
    assert_eq!(scene.outputs(&scenario), scene.undisturbed());
}

#[test]
fn a_stage_that_is_gone_is_refused_unless_its_state_is_dropped_and_a_new_one_begins_empty() {
    let scene = components();
    let scenario = scene.scenario(true);
    killed_at(&scene, &scenario, 20_000, Signal::KILL, &[]).expect("the run is slower than this");
    // The operator and its sink take other names.
    change(&scenario, "name = \"first\"", "name = \"other\"");
    change(&scenario, "input = \"first\"", "input = \"other\"");
    scenario
        .run()
        .expect_exit(2)
        .expect_stderr("the pipeline has no \"first\" any more")
        .expect_stderr("--drop-state first");
    scenario.run_with(["--drop-state", "none"]).expect_exit(2).expect_stderr("it has nothing of \"none\" to drop");
    let outcome = scenario.run_with(["--drop-state", "first"]);
    outcome.expect_exit(0).expect_conservation();
    assert!(outcome.summary()["continued_from"].as_u64().is_some());
    // It has forgotten which keys it had seen.
    let (found, expected) = (scene.outputs(&scenario).remove(0), scene.undisturbed().remove(0));
    assert!(found.len() >= expected.len() && expected.iter().all(|line| found.contains(line)));
}

#[test]
fn a_source_keeps_its_instances_and_a_kind_stays_what_it_is() {
    let scene = components();
    let scenario = scene.scenario(true);
    killed_at(&scene, &scenario, 20_000, Signal::KILL, &[]).expect("the run is slower than this");
    change(&scenario, "parallelism = 2\nconfig", "parallelism = 1\nconfig");
    scenario.run().expect_exit(2).expect_stderr("\"numbers\" was source, 2 instances").expect_stderr("--from none");
}

#[test]
fn windows_keep_their_instances() {
    let scene = windowed();
    let scenario = scene.scenario(true);
    killed_at(&scene, &scenario, 1, Signal::TERM, &[]).expect("the run is slower than this");
    change(&scenario, "parallelism = 2", "parallelism = 3");
    scenario.run().expect_exit(2).expect_stderr("\"minutes\" was window, 2 instances").expect_stderr("--from none");
    change(&scenario, "parallelism = 3", "parallelism = 2");
    scenario.run().expect_exit(0).expect_conservation();
    assert_eq!(scene.outputs(&scenario), scene.undisturbed());
}
