use std::fs;

use rustix::process::Signal;
use sage_jobs::{JobOutcome, JobState, write_json};
use serde_json::{Value, json};

use super::scene::{Scene, bounded, endless};

#[test]
fn a_job_that_reads_all_its_input_is_completed_and_its_summary_is_that_of_run() {
    let mut scene = Scene::new(&bounded("map_logs"));
    scene.data("in.txt", "a\nb\nc\n");
    let end = scene.run();
    assert_eq!((end.outcome, end.exit_code, end.attempt, &end.error), (JobOutcome::Completed, 0, 1, &None));
    assert_eq!(scene.read("out.txt").as_deref(), Some("a\nb\nc\n"));
    let summary = end.summary.unwrap();
    assert_eq!((&summary["outcome"], &summary["balanced"]), (&json!("completed"), &json!(true)));
    let stages = summary["stages"].as_array().unwrap();
    let counts: Vec<(&Value, &Value)> = stages.iter().map(|stage| (&stage["name"], &stage["handled"])).collect();
    assert_eq!(counts[1..], [(&json!("parse"), &json!(3)), (&json!("out"), &json!(3))]);
}

#[test]
fn an_invalid_file_gives_its_errors_with_their_places() {
    let mut scene = Scene::new("[[source]]\nname = \"in\"\ngenerate = { rat = 1 }\n");
    let end = scene.run();
    assert_eq!((end.outcome, end.exit_code, &end.summary), (JobOutcome::Invalid, 2, &None));
    let error = end.error.unwrap();
    let first = &error["report"]["errors"][0];
    assert_eq!(first["message"], json!("unknown key \"rat\" in generate of source \"in\""), "{error:#}");
    assert_eq!((&first["labels"][0]["line"], &first["labels"][0]["column"]), (&json!(3), &json!(14)));
    assert!(error.to_string().contains("pipeline.toml"), "the file that its user knows: {error:#}");
    assert!(!error.to_string().contains("/rev/1/"), "the server's path says nothing to the user: {error:#}");
}

#[test]
fn what_can_never_fit_is_refused_and_what_others_hold_is_told_from_it() {
    let text =
        endless(1, "discard = {}").replace("component =", "resources = { resources = { licence = 2 } }\ncomponent =");
    let mut scene = Scene::new(&text);
    scene.host_file("resources = { licence = 1 }");
    let end = scene.run();
    assert_eq!((end.outcome, end.exit_code, &end.summary), (JobOutcome::Refused, 3, &None));
    let error = end.error.unwrap().to_string();
    assert!(error.contains("licence"), "{error}");

    let host = "resources = { licence = 3 }";
    let (mut scene, mut other) = (Scene::new(&text), Scene::new(&text));
    scene.host_file(host);
    let leases = scene.path("leases");
    fs::write(other.path("host.toml"), fs::read(scene.path("host.toml")).unwrap()).unwrap();
    let mut holder = scene.start();
    holder.until_it_is(JobState::Running);
    let end = other.run();
    assert_eq!((end.outcome, end.exit_code), (JobOutcome::NoRoom, 3), "{leases:?}: {:?}", end.error);
}

#[test]
fn a_failing_pipeline_has_a_summary_and_an_error() {
    let mut scene = Scene::new(&bounded("map_panics_always"));
    scene.data("in.txt", "a\n");
    let end = scene.run();
    assert_eq!((end.outcome, end.exit_code), (JobOutcome::Failed, 4));
    assert_eq!(end.summary.unwrap()["error"]["operator"], json!("parse"));
    assert!(end.error.unwrap()["message"].as_str().unwrap().starts_with("operator \"parse\" (instance 0) failed"));
}

#[test]
fn a_source_of_standard_input_is_refused_with_its_place() {
    let mut scene = Scene::new(&bounded("map_logs").replace("file = { path = \"in.txt\" }", "stdin = {}"));
    let end = scene.run();
    assert_eq!(end.outcome, JobOutcome::Invalid);
    let error = end.error.unwrap().to_string();
    assert!(error.contains("reads standard input, which a job of a server does not have"), "{error}");
}

#[test]
fn the_first_signal_drains_and_the_second_aborts() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut scene = Scene::new(&endless(1000, "discard = {}"));
        let mut job = scene.start();
        job.until_records("out", 10);
        job.signal(signal);
        let end = job.wait().1;
        assert_eq!((end.outcome, end.exit_code), (JobOutcome::Drained, 0), "{:?}", end.error);
        assert_eq!(end.summary.unwrap()["balanced"], json!(true));
    }
    // A pipe without a reader stops the drain.
    let mut scene = Scene::new(&long_records());
    let mut job = held_by_a_pipe(&mut scene);
    job.signal(Signal::TERM);
    job.until_it_is(JobState::Draining);
    job.signal(Signal::TERM);
    let end = job.wait().1;
    assert_eq!((end.outcome, end.exit_code), (JobOutcome::Aborted, 130), "{:?}", end.error);
}

/// A pipeline of which one record does not fit into the pipe of [`held_by_a_pipe`].
fn long_records() -> String {
    endless(1000, "file = { path = \"pipe\" }").replace("rate = 1000", "rate = 1000, payload_bytes = 8000")
}

/// Starts a job whose sink is a pipe that nobody reads, and waits until the pipe is full.
fn held_by_a_pipe(scene: &mut Scene) -> super::scene::Job<'_> {
    let pipe = scene.path("data").join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    // Open for both ends, so that neither the open nor a write fails.
    let held = fs::OpenOptions::new().read(true).write(true).open(&pipe).unwrap();
    rustix::pipe::fcntl_setpipe_size(&held, 4096).unwrap();
    std::mem::forget(held);
    let mut job = scene.start();
    job.until_records("gen", 1);
    job
}

#[test]
fn a_drain_that_takes_too_long_ends_with_the_timeout_of_the_order() {
    let mut scene = Scene::new(&long_records());
    scene.drain_timeout = std::time::Duration::from_millis(300);
    let job = held_by_a_pipe(&mut scene);
    job.signal(Signal::TERM);
    let end = job.wait().1;
    assert_eq!((end.outcome, end.exit_code), (JobOutcome::Aborted, 130), "{:?}", end.error);
    let log = scene.log();
    let timeout = log.iter().find(|line| line.message.contains("stopping at once"));
    assert!(timeout.is_some_and(|line| line.message.contains("the drain timeout of the job")), "{log:#?}");
}

#[test]
fn an_order_of_another_version_or_an_old_attempt_is_not_run() {
    let mut scene = Scene::new(&bounded("map_logs"));
    scene.data("in.txt", "a\n");
    let order = scene.order();
    let mut unknown = serde_json::to_value(&order).unwrap();
    unknown["version"] = json!(99);
    write_json(&scene.folder.order(), &unknown).unwrap();
    let output = scene.command().output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("is of version 99, and this program knows 1"), "{said}");

    assert_eq!(scene.start_order(&order).wait().1.outcome, JobOutcome::Completed);
    let again = scene.command().output().unwrap();
    assert_eq!(again.status.code(), Some(2));
    let said = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(said.contains("attempt 1 of the job in") && said.contains("has begun before"), "{said}");
    assert_eq!(scene.end().map(|end| end.outcome), Some(JobOutcome::Completed), "the end is still there");
}

#[test]
fn a_second_process_for_one_folder_ends_at_once_with_a_code_of_its_own_and_changes_nothing() {
    let mut scene = Scene::new(&endless(10, "discard = {}"));
    let mut job = scene.start();
    let status = job.until_it_is(JobState::Running);
    let second = job.scene.command().output().unwrap();
    assert_eq!(second.status.code(), Some(5), "{second:?}");
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(said.contains("runs already"), "{said}");
    assert_eq!(job.scene.status().map(|status| status.since), Some(status.since));
    job.signal(Signal::TERM);
    assert_eq!(job.wait().1.outcome, JobOutcome::Drained);
}

#[test]
fn the_status_and_the_end_of_an_earlier_attempt_are_replaced() {
    let mut scene = Scene::new(&bounded("map_panics_always"));
    scene.data("in.txt", "a\n");
    assert_eq!(scene.run().outcome, JobOutcome::Failed);
    let pipeline = scene.folder.revision(1).join("pipeline.toml");
    fs::write(pipeline, endless(10, "discard = {}")).unwrap();
    let mut job = scene.start();
    let status = job.until_it_is(JobState::Running);
    assert_eq!(status.attempt, 2);
    assert!(!job.scene.folder.end().exists(), "the end of attempt 1 says nothing about attempt 2");
    job.signal(Signal::TERM);
    assert_eq!(job.wait().1.attempt, 2);
}

#[test]
fn a_signal_while_the_job_starts_gives_it_an_end() {
    for _ in 0..10 {
        let mut scene = Scene::new(&endless(10, "discard = {}"));
        let mut job = scene.start();
        job.until("the socket, with which signals are watched", |scene| scene.path("s").exists().then_some(()));
        job.signal(Signal::TERM);
        let end = job.wait().1;
        let ends = [(JobOutcome::Aborted, 130), (JobOutcome::Drained, 0)];
        assert!(ends.contains(&(end.outcome, end.exit_code)), "{end:?}");
    }
}
