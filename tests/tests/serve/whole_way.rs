use std::fs;
use std::process::Command;

use sage_serve::server::JobPage;
use sage_tests::{WatGuest, program};
use serde_json::Value;

use super::serving::{ENDLESS, Serving, generating, text};

/// A pipeline with a component beside it.
fn with_component(serving: &Serving, folder: &str) -> String {
    serving.file(&format!("{folder}/parts/same.wasm"), WatGuest::default().build());
    serving.file(&format!("{folder}/in.txt"), "a\nb\nc\n");
    let pipeline = "\
[pipeline]
name = \"The_Same\"
[[source]]
name = \"in\"
file = { path = \"in.txt\", format = \"lines\" }
[[operator]]
name = \"same\"
component = \"parts/same.wasm\"
input = \"in\"
[[sink]]
name = \"out\"
input = \"same\"
file = { path = \"out.txt\" }
";
    text(&serving.file(&format!("{folder}/pipeline.toml"), pipeline)).to_owned()
}

#[test]
fn from_an_empty_machine_to_the_output_of_a_job() {
    let serving = Serving::started();
    let pipeline = with_component(&serving, "a");
    let output = serving.run(&["submit", &pipeline, "--wait", "done"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{}", serving.log());
    assert!(said.contains("1 file was sent") && said.ends_with("the-same is completed\n"), "{said}");
    assert_eq!(fs::read_to_string(serving.path("a/out.txt")).unwrap(), "a\nb\nc\n");

    // What `run` does.
    fs::rename(serving.path("a/out.txt"), serving.path("a/of-serve.txt")).unwrap();
    let host = serving.path("host.toml");
    let run = Command::new(program()).args(["run", "--quiet", &pipeline, "--host", text(&host)]).status().unwrap();
    assert!(run.success());
    assert_eq!(fs::read(serving.path("a/out.txt")).unwrap(), fs::read(serving.path("a/of-serve.txt")).unwrap());

    // The server has the component now, and chooses another name.
    let output = serving.run(&["submit", &pipeline, "--wait", "done", "--output", "json"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!said.contains("sent"), "{said}");
    let job: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&job["name"], &job["state"], &job["exit_code"]),
        (&"the-same-2".into(), &"completed".into(), &0.into())
    );
    assert_eq!(job["class"], "idempotent");
    let components: Value = serving.client().get("/v1/components").unwrap();
    assert_eq!(components["components"][0]["used_by"], 2);
    assert_eq!(serving.done(&["rm", "the-same", "the-same-2"]), "removed the-same\nremoved the-same-2\n");
    assert_eq!(fs::read_dir(serving.path("state/jobs")).unwrap().count(), 0);
}

#[test]
fn a_job_is_submitted_listed_read_and_stopped() {
    let serving = Serving::started();
    let pipeline = serving.file("p.toml", ENDLESS.replace("discard", "stdout"));
    serving.done(&["submit", text(&pipeline), "--name", "loud", "--wait", "running", "--label", "team=blue"]);
    let job = serving.until("loud", "running");
    assert_eq!((job.row.attempt, job.labels["team"].as_str()), (1, "blue"));
    assert_eq!(job.class.as_deref(), Some("at-least-once"), "records of its sink are in its log");
    let listed = serving.done(&["ps"]);
    assert!(listed.contains("NAME") && listed.contains("loud  running"), "{listed}");
    sage_test_support::wait_until("records are in the log", || {
        let lines = serving.job_log("loud");
        lines.iter().any(|line| line.operator.as_deref() == Some("out")).then_some(())
    });
    let log = serving.done(&["logs", "loud"]);
    assert!(log.contains(" out: "), "{log}");
    assert_eq!(serving.done(&["logs", "loud", "--level", "error"]), "");
    let explained = serving.done(&["explain", "loud"]);
    assert!(explained.contains("object_store_memory"), "{explained}");
    let top = serving.done(&["top", "loud", "--interval", "50ms"]);
    assert!(top.contains("loud  in     source"), "{top}");
    let metrics = serving.client().request("GET", "/v1/jobs/loud/metrics?format=openmetrics", &[], Vec::new()).unwrap();
    assert!(String::from_utf8(metrics.body).unwrap().contains("sage_records_in_total"));

    let followed = std::thread::scope(|scope| {
        let follower = scope.spawn(|| serving.done(&["logs", "loud", "--follow", "--since", "5"]));
        let stopped = serving.run(&["stop", "loud"]);
        let said = String::from_utf8_lossy(&stopped.stderr);
        assert!(stopped.status.success() && said.ends_with("loud is stopped\n"), "{said}");
        follower.join().unwrap()
    });
    assert!(followed.lines().last().unwrap().contains("the attempt has ended (drained)"), "{followed}");
    let states: Vec<String> = serving.events("loud").into_iter().map(|event| event.to).collect();
    assert_eq!(states, ["checking", "queued", "starting", "running", "draining", "stopped"]);
    assert_eq!(serving.done(&["ps"]), "no job runs or waits; `sage-host ps -a` lists those that have ended\n");
    let page: JobPage = serving.client().get("/v1/jobs?state=ended").unwrap();
    assert_eq!(page.jobs.len(), 1);

    let started = serving.done(&["start", "loud"]);
    assert!(["loud is queued\n", "loud is starting\n"].contains(&started.as_str()), "{started}");
    assert_eq!(serving.until("loud", "running").row.attempt, 2);
    serving.done(&["restart", "loud"]);
    sage_test_support::wait_until("the third attempt runs", || {
        let job = serving.detail("loud").row;
        (job.attempt == 3 && job.state == "running").then_some(())
    });
    serving.done(&["stop", "loud", "--abort"]);
    assert_eq!(serving.detail("loud").row.state, "aborted");
}

#[test]
fn errors_of_the_file_have_line_and_caret_wherever_they_are_found() {
    let serving = Serving::started();
    let typo = serving.file("typo.toml", generating(1, 1, "o").replace("count", "cuont"));
    let absent = with_component(&serving, "b");
    fs::remove_file(serving.path("b/parts/same.wasm")).unwrap();
    let wrong = with_component(&serving, "c");
    serving.file("c/parts/same.wasm", b"\0asm\x0d\0\x01\0 not a component");
    let stdin =
        serving.file("stdin.toml", ENDLESS.replace("generate = { rate = 1000, payload_bytes = 16 }", "stdin = {}"));
    let cases = [
        (text(&typo), "unknown key \"cuont\"", "typo.toml:3"),
        (&absent, "cannot read", "pipeline.toml:8"),
        (&wrong, "same.wasm", "pipeline.toml:8"),
        (text(&stdin), "standard input", "stdin.toml:2"),
    ];
    for (pipeline, message, place) in cases {
        for more in [&[][..], &["--dry-run"]] {
            let output = serving.run(&[&["submit", pipeline, "--quiet"], more].concat());
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{said}{}", serving.log());
            assert!(said.contains(message) && said.contains(place), "{said}");
            assert!(!said.contains("/rev/1/pipeline.toml"), "the server's path says nothing to the user: {said}");
        }
    }
    // A rejected job gives its name up.
    let rejected: JobPage = serving.client().get("/v1/jobs?state=rejected").unwrap();
    let name = rejected.jobs[0].name.to_string();
    let good = serving.file("good.toml", generating(1, 1, "o"));
    serving.done(&["submit", text(&good), "--name", &name, "--wait", "done"]);
    let conflict = serving.run(&["submit", text(&good), "--name", &name]);
    let said = String::from_utf8_lossy(&conflict.stderr);
    assert_eq!(conflict.status.code(), Some(2));
    assert!(said.contains("exists, it is completed") && said.contains("hint: "), "{said}");
}

#[test]
fn a_dry_run_shows_what_instances_would_get_and_leaves_nothing() {
    let serving = Serving::started();
    let pipeline = serving.file("p.toml", generating(1, 1, "out.txt"));
    let shown = serving.done(&["submit", text(&pipeline), "--dry-run"]);
    assert!(shown.contains("object_store_memory"), "{shown}");
    let shown: Value =
        serde_json::from_str(&serving.done(&["submit", text(&pipeline), "--dry-run", "--output", "json"])).unwrap();
    assert_eq!(shown["class"], "idempotent");
    for empty in ["state/jobs", "state/incoming"] {
        assert_eq!(fs::read_dir(serving.path(empty)).unwrap().count(), 0, "{empty}");
    }
    assert!(!serving.path("out.txt").exists());
}

#[test]
fn the_exit_code_of_a_job_is_that_of_submit() {
    let serving = Serving::started();
    let pipeline = serving.file("p.toml", generating(1, 1, "missing/out.txt"));
    let output = serving.run(&["submit", text(&pipeline), "--wait", "done"]);
    let run = Command::new(program())
        .args(["run", "--quiet", text(&pipeline), "--host", text(&serving.path("host.toml"))])
        .output()
        .unwrap();
    assert_ne!(run.status.code(), Some(0));
    assert_eq!(output.status.code(), run.status.code(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_server_that_ends_says_what_becomes_of_its_jobs() {
    let mut serving = Serving::started();
    let pipeline = serving.file("p.toml", ENDLESS);
    serving.done(&["submit", text(&pipeline), "--name", "a", "--wait", "running"]);
    assert!(serving.stop().success());
    assert!(serving.log().contains("1 job goes on: the next `sage-host serve` adopts them"), "{}", serving.log());
    assert!(!serving.socket().exists());
    let words = serving.command();
    let ready = serving.start_as(Command::new(&words[0]).args(&words[1..]).args(["--stop-jobs", "drain"]));
    assert_eq!((ready.jobs, ready.adopted), (1, 1));
    assert!(serving.stop().success());
    serving.start();
    let job = serving.detail("a").row;
    assert_eq!((job.state.as_str(), job.attempt), ("stopped", 1), "a job that has ended is not run again");
}
