//! The server is killed before each of its writes in turn: strace(1) counts the system calls of the thread that owns
//! all jobs, and kills at the n-th. After the next start each request was done whole or not at all.

use std::fs;
use std::process::Command;

use sage_serve::server::{JobDetail, JobPage, RevisionList};
use sage_test_support::{Need, skip, wait_until};
use serde_json::{Value, json};

use super::serving::{ENDLESS, Serving};

/// The calls with which the server's thread changes its state folder.
const CALLS: [&str; 6] = ["fsync", "rename", "mkdir", "link", "unlink", "unlinkat"];
/// A number that no call reaches.
const MOST: usize = 80;

/// Kills between two that are tried: all with `make chaos`, and some otherwise.
fn stride() -> usize {
    if std::env::var_os("SAGE_TEST_CHAOS").is_some() { 1 } else { 6 }
}

/// A server that is killed before call number `number` of this kind.
fn start(serving: &mut Serving, call: &str, number: usize) -> bool {
    let words = serving.command();
    let mut command = Command::new("strace");
    command.args(["-D", "-qqq", "-o", "/dev/null", "-e", &format!("trace={call}")]);
    command.args(["-e", &format!("inject={call}:signal=SIGKILL:when={number}"), "--"]);
    serving.try_start_as(command.args(words)).is_some()
}

/// From a submission to the removal. Ends at the first request without an answer.
fn life(serving: &Serving) -> Option<()> {
    submit(serving)?;
    until(serving, |job| job.row.state == "running")?;
    let path = serving.path("p.toml");
    let change = json!({ "pipeline": ENDLESS.replace("1000", "900"), "path": path, "watch": 0, "accept_loss": true });
    let put = serving.client().json::<Value>("PUT", "/v1/jobs/a", &[], change.to_string().into_bytes());
    put.ok()?;
    until(serving, |job| job.rollout.is_none() && job.row.state == "running")?;
    let client = serving.client();
    client.post::<Value>("/v1/jobs/a/stop", &json!({ "mode": "abort" })).ok()?;
    until(serving, |job| job.row.exit_code.is_some())?;
    client.json::<Value>("DELETE", "/v1/jobs/a", &[], Vec::new()).ok()?;
    Some(())
}

fn submit(serving: &Serving) -> Option<Value> {
    let body = json!({ "name": "a", "pipeline": ENDLESS, "path": serving.path("p.toml") }).to_string().into_bytes();
    serving.client().json("POST", "/v1/jobs", &[("idempotency-key", "once")], body).ok()
}

/// Waits until a job is as wanted; `None` if the server is gone.
fn until(serving: &Serving, wanted: impl Fn(&JobDetail) -> bool) -> Option<JobDetail> {
    wait_until("the job is as wanted, or the server gone", || match serving.client().get::<JobDetail>("/v1/jobs/a") {
        Ok(job) if wanted(&job) => Some(Some(job)),
        Ok(_) => None,
        Err(_) => Some(None),
    })
}

fn folders(serving: &Serving) -> usize {
    fs::read_dir(serving.path("state/jobs")).unwrap().count()
}

/// Whole or not at all: what the next server finds, and that it can be used further.
fn examine(serving: &mut Serving, at: &str) {
    serving.start();
    let page: JobPage = serving.client().get("/v1/jobs").unwrap();
    assert!(page.jobs.len() <= 1, "{at}: {page:?}");
    assert_eq!(folders(serving), page.jobs.len(), "{at}: something half-done is left");
    assert_eq!(fs::read_dir(serving.path("state/unreadable")).unwrap().count(), 0, "{at}");
    if let Some(job) = page.jobs.first() {
        let list: RevisionList = serving.client().get("/v1/jobs/a/revisions").unwrap();
        assert!(list.revisions.iter().any(|one| one.number == list.current), "{at}: {list:?}");
        let again = submit(serving).unwrap();
        assert_eq!(again["id"], json!(job.id), "{at}: the same request makes no second job");
        // What was under way when the server was killed comes to its end.
        until(serving, |job| job.rollout.is_none() && job.row.state != "checking").unwrap();
        serving.done(&["stop", "a", "--abort"]);
        serving.done(&["rm", "a"]);
    }
    assert_eq!(folders(serving), 0, "{at}");
    serving.kill();
}

#[test]
fn a_kill_before_any_write_leaves_each_request_done_whole_or_not_at_all() {
    if Command::new("strace").arg("-V").output().is_err() {
        return skip(Need::Strace, "strace is not installed");
    }
    let mut kills = 0;
    for (offset, call) in CALLS.into_iter().enumerate() {
        let mut number = 1 + offset % stride();
        loop {
            let at = format!("{call} {number}");
            assert!(number < MOST, "{at} is never the last");
            let mut serving = Serving::with_host("");
            serving.file("p.toml", ENDLESS);
            let survived = start(&mut serving, call, number) && life(&serving).is_some();
            serving.end_of_child();
            if survived {
                break;
            }
            kills += 1;
            examine(&mut serving, &at);
            number += stride();
        }
    }
    println!("{kills} kills");
    assert!(kills >= 60 / stride(), "only {kills} kills");
}
