use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;

use rustix::process::Uid;
use sage_jobs::{ControlAnswer, ControlRequest, JobOutcome, JobState, JobStatus};
use sage_test_support::{Need, skip};
use serde_json::json;

use super::scene::{Scene, endless, try_ask, try_send};

#[test]
fn the_socket_tells_status_report_metrics_and_graph() {
    let mut scene = Scene::new(&endless(1000, "discard = {}"));
    let mut job = scene.start();
    job.until_records("out", 10);
    let mode = std::fs::metadata(job.scene.path("s")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let status: JobStatus = serde_json::from_value(job.ask_ok(&ControlRequest::Status)).unwrap();
    assert_eq!((status.state, status.attempt), (JobState::Running, 1));
    let parse = status.stages.iter().find(|stage| stage.name == "parse").unwrap();
    assert_eq!((parse.kind.as_str(), parse.instances), ("map", 1));
    assert!(parse.memory_used.unwrap() <= parse.memory_limit.unwrap(), "{parse:?}");
    assert!(parse.queue_limit > 0 && parse.queue_bytes <= parse.queue_limit, "{parse:?}");

    let report = job.ask_ok(&ControlRequest::Explain);
    assert!(report.to_string().contains("\"operator\":\"parse\""), "{report:#}");
    let metrics = job.ask_ok(&ControlRequest::Metrics);
    let metrics = metrics.as_str().unwrap();
    assert!(metrics.contains("sage_records_in_total{pipeline=\"pipeline\""), "{metrics}");
    assert!(metrics.ends_with("# EOF\n"));
    let graph = job.ask_ok(&ControlRequest::Graph);
    assert_eq!(graph["stages"][1], json!({ "name": "parse", "kind": "map", "parallelism": 1 }));
    assert_eq!((&graph["edges"][0]["from"], &graph["edges"][0]["to"]), (&json!("gen"), &json!("parse")));
}

#[test]
fn a_drain_and_an_abort_can_be_asked_for() {
    let cases = [
        (ControlRequest::Drain { timeout: None }, JobOutcome::Drained, 0),
        (ControlRequest::Drain { timeout: Some(60_000) }, JobOutcome::Drained, 0),
        (ControlRequest::Abort, JobOutcome::Aborted, 130),
    ];
    for (request, outcome, code) in cases {
        let mut scene = Scene::new(&endless(1000, "discard = {}"));
        let mut job = scene.start();
        job.until_records("out", 10);
        assert_eq!(job.ask_ok(&request), json!(null));
        let end = job.wait().1;
        assert_eq!((end.outcome, end.exit_code), (outcome, code), "{request:?}: {:?}", end.error);
        assert!(end.summary.is_some());
    }
}

#[test]
fn bad_requests_get_an_error_and_do_no_harm() {
    let mut scene = Scene::new(&endless(1000, "discard = {}"));
    let mut job = scene.start();
    job.until_it_is(JobState::Running);
    let socket = job.scene.path("s");
    let long = vec![b'x'; 1 << 20];
    let cases: [(&[u8], &str); 5] = [
        (b"\n", "the line is no request: "),
        (b"{\"do\":\"reboot\"}\n", "the line is no request: unknown variant `reboot`"),
        (b"\x00\xff\n", "the line is no request: "),
        (b"{\"do\":\"drain\",\"timeout\":-1}\n", "the line is no request: "),
        (&long, "the request is longer than 4096 bytes"),
    ];
    for (bytes, expected) in cases {
        match try_send(&socket, bytes) {
            Some(ControlAnswer::Error(why)) => assert!(why.starts_with(expected), "{why}"),
            // The connection was closed while the bytes were on their way.
            None => assert!(bytes.len() > 4096),
            answer => panic!("{answer:?}"),
        }
    }
    let status: JobStatus = serde_json::from_value(job.ask_ok(&ControlRequest::Status)).unwrap();
    assert_eq!(status.state, JobState::Running);
}

#[test]
fn many_silent_clients_are_bounded_and_the_job_does_not_notice() {
    let mut scene = Scene::new(&endless(1000, "discard = {}"));
    let mut job = scene.start();
    job.until_it_is(JobState::Running);
    let socket = job.scene.path("s");
    let silent: Vec<UnixStream> = (0..40).map(|_| UnixStream::connect(&socket).unwrap()).collect();
    let refused = try_ask(&socket, &ControlRequest::Status);
    assert_eq!(refused, Some(ControlAnswer::Error("there are 8 connections already".to_owned())));
    let threads = std::fs::read_dir(format!("/proc/{}/task", job.id())).unwrap().count();
    assert!(threads < 30, "{threads}");
    drop(silent);
    job.until("a free connection", |_| match try_ask(&socket, &ControlRequest::Status) {
        Some(ControlAnswer::Ok(_)) => Some(()),
        _ => None,
    });
    job.until_records("out", 10);
}

#[test]
fn another_user_is_refused_and_root_is_not() {
    let mut scene = Scene::new(&endless(10, "discard = {}"));
    if Need::Root.missing().is_some() {
        return skip(Need::Root, "only root can become another user");
    }
    let mut job = scene.start();
    job.until_it_is(JobState::Running);
    let socket = job.scene.path("s");
    assert!(matches!(try_ask(&socket, &ControlRequest::Status), Some(ControlAnswer::Ok(_))));
    // The kernel's check of the mode would hide the check of the peer, so both are opened.
    for path in [job.scene.path(""), socket.clone()] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).unwrap();
    }
    // The user of a thread is the thread's own, and the thread that connects is the peer.
    let as_nobody = std::thread::spawn(move || {
        rustix::thread::set_thread_uid(Uid::from_raw(65534)).unwrap();
        try_ask(&socket, &ControlRequest::Status)
    });
    let words = "only user 0 and root may control this job, not user 65534";
    match as_nobody.join().unwrap() {
        Some(ControlAnswer::Error(said)) => assert!(said.contains(words), "{said}"),
        other => panic!("{other:?}"),
    }
    let status: JobStatus = serde_json::from_value(job.ask_ok(&ControlRequest::Status)).unwrap();
    assert_eq!(status.state, JobState::Running);
}
