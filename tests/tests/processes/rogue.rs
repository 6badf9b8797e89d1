//! Rogue workers, as a guest could make them after breaking out of its sandbox.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use sage_observe::Summary;
use sage_runtime::connector::{CollectSink, IterSource};
use sage_runtime::engine::{JobOptions, PipelineBuilder, SinkOf, SourceOf};
use sage_runtime::worker::ProcessIsolation;
use sage_tests::{Codes, guest, has_control};

/// Result of a run that gives one record to a rogue worker.
fn with_rogue(way: &str) -> Result<Summary, String> {
    let folder = tempfile::tempdir().unwrap();
    let options = JobOptions {
        lease_folder: Some(folder.path().join("leases")),
        launcher: Some(Arc::new(ProcessIsolation::new(rogue_program()))),
        ..JobOptions::default()
    };
    let (sink, _) = CollectSink::new();
    let config = serde_json::json!({ "rogue": way });
    let limits = sage_plan::config::Limits {
        call_timeout: Some(std::time::Duration::from_millis(200).into()),
        cpu_time_per_call: Some(std::time::Duration::from_millis(100).into()),
        ..Default::default()
    };
    let job = PipelineBuilder::new("rogue")
        .from_source("in", SourceOf::provided(IterSource::new([b"a record".to_vec()], 0)))
        .map("rogue", guest("map_shouts"))
        .config(config.as_object().unwrap().clone())
        .limits(limits)
        .sink("out", SinkOf::provided(sink))
        .build(options)
        .unwrap();
    job.start().map(|session| session.wait()).map_err(|error| error.to_string())
}

fn rogue_program() -> PathBuf {
    let path = std::env::current_exe().unwrap();
    let folder = path.ancestors().find(|folder| folder.ends_with("deps")).unwrap().parent().unwrap();
    folder.join("rogue-worker")
}

#[test]
fn a_ring_whose_numbers_cannot_be_ends_the_worker_and_nothing_else() {
    for (way, told) in [
        ("claims-bytes", "the ring's writer claims"),
        ("goes-back", "the ring's writer claims"),
        ("exits", "exit code 7: had enough"),
        ("unknown-code", "no failure has the code"),
        ("noise", ""),
    ] {
        let failed = with_rogue(way).expect_err(way);
        assert!(failed.contains("failed with worker") && failed.contains(told), "{way}: {failed}");
    }
}

#[test]
fn an_answer_that_is_none_costs_the_record_and_the_worker() {
    for (way, told) in
        [("long-column", "a length of 1099511627776"), ("wrong-count", "payloads: 3 entries for 1 records")]
    {
        let summary = with_rogue(way).unwrap();
        let error = summary.error.as_ref().unwrap();
        assert_eq!(error.code, Codes::WORKER, "{way}: {error:?}");
        assert!(error.message.contains(told), "{way}: {}", error.message);
        assert!(summary.balanced && summary.stage("rogue").unwrap().failed == 1);
    }
}

#[test]
fn numbers_as_large_as_can_be_are_not_believed_and_nothing_overflows() {
    let summary = with_rogue("boasts").unwrap();
    let stage = summary.stage("rogue").unwrap();
    assert_eq!((stage.handled, stage.failed), (1, 0), "{summary}");
    assert!(summary.balanced && stage.cpu_seconds < summary.elapsed_seconds * 2.0, "{summary}");
    // The error comes from the end of the input, which this worker does not answer.
    assert_eq!(summary.error.as_ref().unwrap().code, Codes::WORKER, "{summary}");
}

#[test]
fn a_worker_that_claims_to_have_taken_what_was_never_sent_is_ended() {
    let summary = with_rogue("takes-what-was-not-sent").unwrap();
    assert_eq!(summary.error.as_ref().unwrap().code, Codes::WORKER, "{summary}");
    assert!(summary.balanced && summary.stage("rogue").unwrap().workers_lost > 0, "{summary}");
}

#[test]
fn bytes_that_change_while_they_are_read_are_an_error_or_a_sound_record() {
    for _ in 0..3 {
        let summary = with_rogue("changes-while-read").unwrap();
        let stage = summary.stage("rogue").unwrap();
        assert!(summary.balanced, "{summary}");
        assert_eq!(stage.failed + stage.handled, 1, "{summary}");
        if let Some(error) = &summary.error {
            assert!(sage_tests::ALL_CODES.contains(&error.code), "{error:?}");
        }
    }
}

#[test]
fn a_worker_that_says_nothing_is_ended_when_its_time_is_over() {
    let started = Instant::now();
    let failed = with_rogue("says-nothing").unwrap_err();
    assert!(failed.contains("nothing came for"), "{failed}");
    assert!(started.elapsed().as_secs() < 60);
}

#[test]
fn a_worker_that_hoards_memory_is_killed_at_its_own_limit_and_told_so() {
    if !has_control(|controls| controls.memory.available) {
        return;
    }
    let failed = with_rogue("hoards-memory").unwrap_err();
    for part in ["failed with memory", "the kernel killed the worker process at the instance's limit: 272MiB"] {
        assert!(failed.contains(part), "{failed}");
    }
}

#[test]
fn a_worker_that_forks_without_end_is_held_to_its_few_processes() {
    if !has_control(|controls| controls.pids.available) {
        return;
    }
    let failed = with_rogue("forks").unwrap_err();
    let made = failed.split("made ").nth(1).and_then(|rest| rest.split(' ').next()).expect(&failed);
    assert!(made.parse::<u32>().unwrap() < 20 && failed.contains("Resource temporarily unavailable"), "{failed}");
}
