use std::fs;
use std::process::Command;

use sage_jobs::read_json;
use sage_test_support::{Need, skip, wait_until};
use serde_json::Value;

use super::serving::{ENDLESS, Serving, text};

#[test]
fn a_state_folder_has_one_server() {
    let serving = Serving::started();
    let words = serving.command();
    let socket = serving.path("other.sock");
    let second = Command::new(&words[0])
        .args(["serve", "--listen", "off", "--state", text(&serving.path("state")), "--socket"])
        .arg(&socket)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&second.stderr);
    assert_eq!(second.status.code(), Some(3), "{said}");
    assert!(said.contains("another server uses") && said.contains("hint: "), "{said}");
    let other = Command::new(&words[0])
        .args(["serve", "--listen", "off", "--state", text(&serving.path("other")), "--socket"])
        .arg(serving.socket())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&other.stderr);
    assert_eq!(other.status.code(), Some(3), "{said}");
    assert!(said.contains("another server listens"), "{said}");
}

#[test]
fn a_socket_whose_path_is_too_long_is_refused_with_its_length() {
    let serving = Serving::with_host("");
    let long = serving.path(&"x".repeat(100)).join("serve.sock");
    let words = serving.command();
    let output = Command::new(&words[0])
        .args(["serve", "--listen", "off", "--state", text(&serving.path("state")), "--socket"])
        .arg(long)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("a socket may have 107") && said.contains("--socket"), "{said}");
}

#[test]
fn corrupt_files_of_a_job_are_made_anew_and_the_job_goes_on() {
    let mut serving = Serving::started();
    let pipeline = serving.file("p.toml", ENDLESS);
    serving.done(&["submit", text(&pipeline), "--name", "a", "--wait", "running"]);
    let folder = serving.folder("a");
    serving.kill();
    fs::write(folder.path().join("state.json"), "{\"desired\":\"run").unwrap();
    fs::write(folder.path().join("spec.json"), b"\0\0\0\0").unwrap();
    let ready = serving.start();
    assert_eq!((ready.jobs, ready.adopted), (1, 1), "{}", serving.log());
    let job = serving.detail("a");
    assert_eq!((job.row.state.as_str(), job.row.attempt), ("running", 1));
    assert_eq!(job.pipeline.as_deref(), Some(fs::canonicalize(&pipeline).unwrap().as_path()));
    serving.done(&["stop", "a"]);
    assert_eq!(serving.detail("a").row.state, "stopped");
    // The end of an attempt is known without the state.
    serving.kill();
    fs::remove_file(folder.path().join("state.json")).unwrap();
    serving.start();
    assert_eq!(serving.detail("a").row.state, "stopped");
    let state: Value = read_json(&folder.path().join("state.json")).unwrap();
    assert_eq!(state["attempt"], 1);
}

/// Whether this process can mount a file system in a mount namespace of its own.
fn can_mount() -> bool {
    let script = "mount -t tmpfs -o size=4k none /mnt";
    let tried = Command::new("unshare").args(["--mount", "--propagation", "private", "sh", "-c", script]).output();
    tried.is_ok_and(|tried| tried.status.success())
}

#[test]
fn a_full_disk_makes_the_server_read_only_and_jobs_go_on() {
    if !can_mount() {
        return skip(Need::Mount, "no file system can be mounted here");
    }
    let mut serving = Serving::with_host("");
    fs::create_dir(serving.path("state")).unwrap();
    let script = "mount -t tmpfs -o size=2m,mode=700 none \"$0\" && exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", script]).arg(serving.path("state"));
    serving.start_as(command.args(serving.command()));
    let pipeline = serving.file("p.toml", ENDLESS);
    serving.done(&["submit", text(&pipeline), "--name", "a", "--wait", "running"]);

    // The file system is seen through the server's own root.
    let state = format!("/proc/{}/root{}", serving.pid(), text(&serving.path("state")));
    let filler = std::path::Path::new(&state).join("filler");
    let all = vec![b'x'; 4 << 20];
    let _ = fs::write(&filler, &all);
    assert!(fs::metadata(&filler).unwrap().len() > 1 << 20);
    let refused = serving.run(&["submit", text(&pipeline), "--name", "b"]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(3), "{said}");
    assert!(said.contains("the server takes no new work") && said.contains("No space left"), "{said}");
    let answer = serving.client().json::<Value>("POST", "/v1/jobs/a/start", &[], Vec::new());
    let sage_serve::api::ClientError::Refused(problem) = answer.unwrap_err() else { panic!("no problem") };
    assert_eq!((problem.status, problem.code.as_str()), (503, "read-only"));
    let health = super::over_tcp::ask(&serving, "GET", "/v1/healthz", &[], "");
    assert!(health.status == 503 && health.body.contains("takes no writes"), "{health:?}");

    let listed = serving.done(&["ps"]);
    assert!(listed.contains("a     running"), "{listed}");
    let status = || serving.client().get::<Value>("/v1/jobs/a/status").unwrap()["stages"][0]["records_out"].as_u64();
    let before = status();
    wait_until("the job goes on", || (status() > before).then_some(()));
    assert_eq!(
        fs::read_dir(std::path::Path::new(&state).join("jobs")).unwrap().count(),
        1,
        "nothing half-done is left"
    );

    // A stop needs no room.
    serving.done(&["stop", "a"]);
    assert_eq!(serving.detail("a").row.state, "stopped");
    fs::remove_file(&filler).unwrap();
    wait_until("the server takes work again", || {
        let output = serving.run(&["submit", text(&pipeline), "--name", "c", "--wait", "running"]);
        output.status.success().then_some(())
    });
    serving.done(&["stop", "c"]);
}
