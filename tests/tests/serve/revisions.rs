//! Revisions of a job: rollouts that go on from an epoch, that are refused, that go back by themselves, and that a kill
//! of the server interrupts.

use std::collections::BTreeSet;
use std::fs;

use sage_serve::api::{ClientError, RevisionDiff};
use sage_serve::server::{JobDetail, RevisionList};
use sage_serve::state::RolloutOutcome;
use sage_test_support::wait_until;
use sage_tests::WatGuest;
use serde_json::{Value, json};

use super::http::exchange;
use super::serving::{ENDLESS, Serving, generating, text};

/// A pipeline that copies `count` records, 4,000 each second, through a component.
fn copying(count: u64, component: &str, more: &str) -> String {
    generating(count, 4000, "out.txt").replace(
        "[[sink]]\nname = \"out\"\ninput = \"in\"",
        &format!(
            "[[operator]]\nname = \"copy\"\ncomponent = \"{component}\"\ninput = \"in\"\n{more}\
             [[sink]]\nname = \"out\"\ninput = \"copy\""
        ),
    )
}

const CHECKPOINTS: &str = "[pipeline]\nname = \"copies\"\ncheckpoint = { folder = \"state\", interval = \"20ms\" }\n";

fn with_component(serving: &Serving, count: u64) -> String {
    serving.file("j/one.wasm", WatGuest::default().build());
    let bad = WatGuest { open: "(unreachable)".to_owned(), ..WatGuest::default() };
    serving.file("j/bad.wasm", bad.build());
    let other = WatGuest { main: "(func)".to_owned(), ..WatGuest::default() };
    serving.file("j/two.wasm", other.build());
    let first = format!("{CHECKPOINTS}{}", copying(count, "one.wasm", ""));
    text(&serving.file("j/one.toml", first)).to_owned()
}

fn until_records(serving: &Serving, name: &str) {
    let out = serving.path("j/out.txt.partial");
    wait_until(&format!("{name} has written records"), || {
        fs::metadata(&out).ok().filter(|file| file.len() > 4000).map(drop)
    });
}

/// Each record once and no other.
fn assert_whole(serving: &Serving, count: u64) {
    let written = fs::read_to_string(serving.path("j/out.txt")).unwrap();
    let lines: BTreeSet<&str> = written.lines().collect();
    assert_eq!((written.lines().count() as u64, lines.len() as u64), (count, count), "each record is there once");
}

fn outcome(job: &JobDetail) -> Option<RolloutOutcome> {
    job.last_rollout.as_ref().map(|end| end.outcome)
}

#[test]
fn a_rollout_goes_on_from_the_epoch_of_the_revision_before_and_loses_no_record() {
    let serving = Serving::started();
    let one = with_component(&serving, 8000);
    serving.done(&["submit", &one, "--name", "a", "--wait", "running"]);
    until_records(&serving, "a");
    let two = format!("{CHECKPOINTS}{}", copying(8000, "two.wasm", ""));
    let renamed = serving.file("j/renamed.toml", two.replace("copies", "others"));
    let output = serving.run(&["rollout", "a", text(&renamed)]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("write name = \"copies\""), "{output:?}");
    let two = serving.file("j/two.toml", two);
    let output = serving.run(&["rollout", "a", text(&two), "--note", "another copy", "--watch", "50ms"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{}", serving.log());
    assert!(said.ends_with("a has revision 2\n"), "{said}");
    let job = serving.until("a", "completed");
    assert_eq!((job.row.attempt, job.row.revision), (2, 2));
    let summary = job.end.unwrap().summary.unwrap();
    assert!(summary["continued_from"].as_u64().is_some_and(|epoch| epoch > 0), "{summary}");
    assert_whole(&serving, 8000);

    let list: RevisionList = serving.client().get("/v1/jobs/a/revisions").unwrap();
    assert_eq!((list.current, list.revisions.len()), (2, 2));
    let second = &list.revisions[1];
    assert_eq!(second.note.as_deref(), Some("another copy"));
    assert!(list.revisions.iter().all(|one| one.who.as_deref().is_some_and(|who| who.starts_with("user:"))));
    let shown = serving.done(&["revisions", "a"]);
    assert!(shown.contains("2    in force") && shown.contains("another copy"), "{shown}");
    let diff = serving.done(&["diff", "a"]);
    assert!(diff.contains("\n-component = \"one.wasm\"\n+component = \"two.wasm\"\n"), "{diff}");
    assert!(diff.contains("file one.wasm: ") && diff.contains(" to not there\n"), "{diff}");
    let same: RevisionDiff = serving.client().get("/v1/jobs/a/diff?from=2&to=2").unwrap();
    assert_eq!((same.lines.len(), same.files.len()), (0, 0));
    let codes: Vec<(String, u32)> = serving
        .events("a")
        .into_iter()
        .filter_map(|event| Some((event.code.filter(|code| code.starts_with("roll"))?, event.revision)))
        .collect();
    assert_eq!(codes, [("rollout".to_owned(), 1), ("rolled-out".to_owned(), 2)]);
    let audit = serving.done(&["audit"]);
    assert!(audit.contains("PUT /v1/jobs/a → 202"), "{audit}");
}

#[test]
fn a_revision_that_the_check_refuses_leaves_the_attempt_alone() {
    let serving = Serving::started();
    let pipeline = serving.file("p.toml", ENDLESS);
    serving.done(&["submit", text(&pipeline), "--name", "a", "--wait", "running"]);
    serving.file("wrong.wasm", b"\0asm\x0d\0\x01\0 not a component");
    let wrong = ENDLESS.replace("generate = { rate = 1000, payload_bytes = 16 }", "component = \"wrong.wasm\"");
    let wrong = serving.file("wrong.toml", wrong);
    let output = serving.run(&["rollout", "a", text(&wrong), "--yes"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("wrong.toml:3") && said.contains("a goes on with revision 1"), "{said}");
    let job = serving.detail("a");
    assert_eq!((job.row.state.as_str(), job.row.attempt, job.row.revision), ("running", 1, 1));
    assert_eq!(outcome(&job), Some(RolloutOutcome::Refused));
    // It never has room on this machine.
    let huge = ENDLESS.replace("discard = {}", "discard = {}\nnum_cpus = 4000");
    let huge = serving.file("huge.toml", huge);
    let output = serving.run(&["rollout", "a", text(&huge), "--yes"]);
    assert!([Some(2), Some(3)].contains(&output.status.code()), "{output:?}");
    assert_eq!(serving.detail("a").row.attempt, 1);
}

#[test]
fn a_revision_that_fails_gives_way_to_the_one_before_which_goes_on_from_the_epoch() {
    let serving = Serving::started();
    let one = with_component(&serving, 8000);
    serving.done(&["submit", &one, "--name", "a", "--wait", "running"]);
    until_records(&serving, "a");
    // One starts and traps; the other has no source of the name whose position the checkpoints have.
    let bad = copying(8000, "bad.wasm", "");
    let other = copying(8000, "one.wasm", "").replace("\"in\"", "\"other\"");
    for (number, changed) in [(2, bad), (3, other)] {
        let path = serving.file("j/changed.toml", format!("{CHECKPOINTS}{changed}"));
        let output = serving.run(&["rollout", "a", text(&path), "--output", "json"]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(4), "{said}{}", serving.log());
        let said: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((&said["revision"], &said["last_rollout"]["outcome"]), (&1.into(), &"rolled-back".into()), "{said}");
        assert_eq!(said["last_rollout"]["to"], number);
        assert!(said["last_rollout"]["message"].as_str().is_some_and(|message| !message.is_empty()), "{said}");
        serving.until("a", "running");
    }
    let job = serving.until("a", "completed");
    assert_eq!(job.row.revision, 1);
    assert_whole(&serving, 8000);
}

#[test]
fn a_running_job_without_checkpoints_begins_anew_only_if_that_is_said() {
    let serving = Serving::started();
    let pipeline = serving.file("p.toml", ENDLESS);
    serving.done(&["submit", text(&pipeline), "--name", "a", "--wait", "running"]);
    let other = serving.file("q.toml", ENDLESS.replace("1000", "2000"));
    let output = serving.run(&["rollout", "a", text(&other)]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("would begin anew (idempotent)") && said.contains("--yes"), "{said}");
    serving.done(&["rollout", "a", text(&other), "--yes", "--watch", "0s", "--quiet"]);
    let job = serving.until("a", "running");
    assert_eq!((job.row.revision, job.row.attempt), (2, 2));
    let output = serving.run(&["rollout", "a", text(&other)]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("a runs revision 2 already"), "{output:?}");
    serving.done(&["rollback", "a", "--yes", "--watch", "0s", "--quiet"]);
    assert_eq!(serving.until("a", "running").row.revision, 1);
    let none = serving.run(&["rollback", "a", "--yes"]);
    assert!(String::from_utf8_lossy(&none.stderr).contains("no revision is older than 1"), "{none:?}");
    // A job that has ended begins with the new revision, and nothing is lost.
    serving.done(&["stop", "a"]);
    serving.done(&["rollback", "a", "--to", "2", "--watch", "0s", "--quiet"]);
    let job = serving.until("a", "running");
    assert_eq!((job.row.revision, job.row.attempt), (2, 4));
}

#[test]
fn a_change_that_someone_else_made_meanwhile_is_not_undone() {
    let serving = Serving::started();
    let pipeline = serving.file("p.toml", ENDLESS);
    serving.done(&["submit", text(&pipeline), "--name", "a", "--wait", "running"]);
    let client = serving.client();
    let changed = |rate: &str| {
        let text = ENDLESS.replace("1000", rate);
        json!({ "pipeline": text, "path": pipeline, "watch": 0, "accept_loss": true }).to_string().into_bytes()
    };
    let first = exchange(&serving, b"GET /v1/jobs/a HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    assert!(first.contains("\r\netag: \"1\"\r\n"), "{first}");
    let put =
        |tag: &str, rate: &str| client.json::<JobDetail>("PUT", "/v1/jobs/a", &[("if-match", tag)], changed(rate));
    put("\"1\"", "2000").unwrap();
    let Err(ClientError::Refused(busy)) = put("*", "2500") else { panic!("a rollout is under way") };
    assert_eq!((busy.status, busy.code.as_str()), (409, "rollout-under-way"));
    wait_until("the rollout is over", || Some(serving.detail("a")).filter(|job| job.rollout.is_none()));
    let Err(ClientError::Refused(late)) = put("\"1\"", "3000") else { panic!("another revision is in force") };
    assert_eq!((late.status, late.code.as_str()), (412, "revision-changed"));
    assert_eq!(late.more["current"], 2);
    let output = serving.run(&["rollback", "a", "--to", "1", "--yes", "--if-revision", "1"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("has revision 2 now"), "{output:?}");
    assert_eq!(serving.detail("a").row.revision, 2);
}

#[test]
fn a_kill_of_the_server_in_any_stage_of_a_rollout_loses_no_record() {
    for stage in ["checking", "switching", "watching"] {
        let mut serving = Serving::started();
        let one = with_component(&serving, 8000);
        serving.done(&["submit", &one, "--name", "a", "--wait", "running"]);
        until_records(&serving, "a");
        let two = serving.file("j/two.toml", format!("{CHECKPOINTS}{}", copying(8000, "two.wasm", "")));
        serving.done(&["rollout", "a", text(&two), "--no-wait", "--watch", "10ms"]);
        if stage != "checking" {
            wait_until(stage, || {
                let job = serving.detail("a");
                let stage_now = job.rollout.map(|rollout| format!("{:?}", rollout.stage).to_lowercase());
                stage_now.is_none_or(|now| now == stage || now == "watching").then_some(())
            });
        }
        serving.kill();
        serving.start();
        let job = serving.until("a", "completed");
        assert_eq!((job.row.revision, outcome(&job)), (2, Some(RolloutOutcome::Done)), "{stage}");
        assert_whole(&serving, 8000);
    }
}

#[test]
fn a_job_of_an_earlier_version_is_adopted_and_gets_a_second_revision() {
    let mut serving = Serving::started();
    let pipeline = serving.file("p.toml", ENDLESS);
    serving.done(&["submit", text(&pipeline), "--name", "a", "--wait", "running"]);
    let folder = serving.folder("a");
    serving.kill();
    // What a server without revisions wrote.
    fs::remove_file(folder.revision(1).join("revision.json")).unwrap();
    fs::remove_file(folder.check_order(1)).unwrap();
    for (file, keys) in [("state.json", ["revision", "rollout"]), ("order.json", ["signers", "signers"])] {
        let path = folder.path().join(file);
        let mut value: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        keys.iter().for_each(|key| drop(value.as_object_mut().unwrap().remove(*key)));
        fs::write(&path, value.to_string()).unwrap();
    }
    let events = folder.path().join("events.jsonl");
    fs::write(&events, fs::read_to_string(&events).unwrap().replace(",\"revision\":1", "")).unwrap();

    let ready = serving.start();
    assert_eq!((ready.jobs, ready.adopted), (1, 1));
    assert_eq!(serving.detail("a").row.attempt, 1);
    assert!(serving.events("a").iter().all(|event| event.revision == 0));
    let list: RevisionList = serving.client().get("/v1/jobs/a/revisions").unwrap();
    assert_eq!((list.current, list.revisions[0].who.as_deref()), (1, None));
    let other = serving.file("q.toml", ENDLESS.replace("1000", "900"));
    serving.done(&["rollout", "a", text(&other), "--yes", "--watch", "0s", "--quiet"]);
    serving.done(&["rollback", "a", "--yes", "--watch", "0s", "--quiet"]);
    assert_eq!(serving.until("a", "running").row.revision, 1);
}
