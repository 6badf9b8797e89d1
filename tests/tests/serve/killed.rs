use std::time::Duration;

use rustix::process::Signal;
use sage_test_support::wait_until;

use super::serving::{ENDLESS, Serving, text};

#[test]
fn a_killed_job_runs_again_after_a_pause_if_its_policy_says_so_and_its_neighbour_goes_on() {
    let serving = Serving::started();
    let pipeline = serving.file("p.toml", ENDLESS);
    for (name, restart) in [("again", "crash"), ("never", "never"), ("neighbour", "crash")] {
        serving.done(&["submit", text(&pipeline), "--name", name, "--restart", restart, "--wait", "running"]);
    }
    serving.signal("again", Signal::KILL);
    serving.signal("never", Signal::KILL);
    let failed = serving.until("never", "failed").row;
    assert_eq!((failed.exit_code, failed.code.as_deref(), failed.attempt), (Some(1), Some("crashed"), 1));
    assert!(failed.why.unwrap().contains("killed by signal 9"));
    let again = wait_until("the second attempt", || {
        Some(serving.detail("again").row).filter(|job| job.attempt == 2 && job.state == "running")
    });
    assert_eq!(again.restarts, 1);
    let events = serving.events("again");
    let states: Vec<&str> = events.iter().map(|event| event.to.as_str()).collect();
    let expected = ["checking", "queued", "starting", "running", "backoff", "queued", "starting", "running"];
    assert_eq!(states, expected);
    let pause = events[5].at - events[4].at;
    assert!((800..30_000).contains(&pause), "{pause} ms");
    let neighbour = serving.detail("neighbour").row;
    assert_eq!((neighbour.state.as_str(), neighbour.attempt), ("running", 1));
}

#[test]
fn a_pipeline_that_can_never_start_is_rejected_and_not_tried_again() {
    let serving = Serving::started();
    // Its output folder is missing, so it fails at once.
    let pipeline = serving.file("p.toml", ENDLESS.replace("discard = {}", "file = { path = \"missing/out\" }"));
    serving.run(&["submit", text(&pipeline), "--name", "a", "--restart", "failure"]);
    let backoff = wait_until("it ends or waits", || {
        Some(serving.detail("a").row).filter(|job| ["backoff", "rejected", "failed"].contains(&job.state.as_str()))
    });
    assert_eq!((backoff.state.as_str(), backoff.attempt <= 1), ("rejected", true), "{backoff:?}");
}

#[test]
fn a_stopped_process_is_killed_by_the_deadlines_of_a_stop() {
    let serving = Serving::started();
    let pipeline = serving.file("p.toml", ENDLESS);
    serving.done(&["submit", text(&pipeline), "--name", "a", "--wait", "running"]);
    serving.signal("a", Signal::STOP);
    let begun = std::time::Instant::now();
    let output = serving.run(&["stop", "a", "--timeout", "10ms"]);
    assert!(output.status.success());
    assert!(begun.elapsed() < Duration::from_secs(50), "{:?}", begun.elapsed());
    let job = serving.detail("a").row;
    assert_eq!((job.state.as_str(), job.code.as_deref()), ("aborted", Some("killed")));
    let states: Vec<String> = serving.events("a").into_iter().map(|event| event.to).skip(4).collect();
    assert_eq!(states, ["draining", "aborting", "killing", "aborted"]);
}

#[test]
fn an_adopted_job_can_be_stopped_killed_and_ends_are_found_that_came_while_no_server_was_there() {
    let mut serving = Serving::started();
    let pipeline = serving.file("p.toml", ENDLESS);
    for name in ["drained", "killed", "ended", "crashed"] {
        serving.done(&["submit", text(&pipeline), "--name", name, "--restart", "never", "--wait", "running"]);
    }
    let (ended, crashed) = (serving.process("ended"), serving.process("crashed"));
    serving.kill();
    rustix::process::pidfd_send_signal(&ended, Signal::TERM).unwrap();
    rustix::process::pidfd_send_signal(&crashed, Signal::KILL).unwrap();
    for process in [&ended, &crashed] {
        let mut gone = [rustix::event::PollFd::new(process, rustix::event::PollFlags::IN)];
        rustix::event::poll(&mut gone, None).unwrap();
    }
    let ready = serving.start();
    assert_eq!((ready.jobs, ready.adopted), (4, 2));
    assert_eq!(serving.detail("ended").row.state, "stopped");
    let crashed = serving.detail("crashed").row;
    assert_eq!((crashed.state.as_str(), crashed.code.as_deref()), ("failed", Some("crashed")));
    serving.done(&["stop", "drained"]);
    assert_eq!(serving.detail("drained").row.state, "stopped");
    serving.signal("killed", Signal::STOP);
    let killed: serde_json::Value =
        serving.client().post("/v1/jobs/killed/stop", &serde_json::json!({ "mode": "kill" })).unwrap();
    assert_ne!(killed["state"], "running");
    assert_eq!(serving.until("killed", "aborted").row.code.as_deref(), Some("killed"));
}
