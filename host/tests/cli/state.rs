//! The commands `state inspect`, `state verify` and `state rm`.

use std::fs;
use std::path::Path;

use sage_store::{Frame, FrameKind, Store};

use crate::program::{Ran, sage_host};

/// Writes two epochs, and a third one if the run ended.
fn write(folder: &Path, ended: bool) -> Store {
    let mut store = Store::open(&folder.join("state")).unwrap();
    for number in 1..=if ended { 3 } else { 2 } {
        let mut epoch = store.begin(number == 1).unwrap();
        let kind = if number == 1 { FrameKind::Base } else { FrameKind::Changes };
        for (kind, stage, lane) in [(kind, "count", 0), (kind, "count", 1), (FrameKind::Position, "in\u{1b}[31m", 0)] {
            epoch.put(Frame { kind, stage, instance: 0, lane }, &[0; 1000]).unwrap();
        }
        epoch.whole(br#"{"plan":"abc"}"#, number == 3).unwrap();
    }
    store
}

fn snapshot(name: &str, ran: &Ran) {
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"process [0-9]+ of user [0-9]+", "process PID of user UID");
    settings.add_filter(r"20\d\d-\d\d-\d\dT[0-9:.]+Z *", "TIME  ");
    // The width of the column depends on the digits of the times.
    settings.add_filter(r"written +size", "written  size");
    settings.bind(|| insta::assert_snapshot!(name, ran.transcript()));
}

#[test]
fn epochs_are_listed_with_their_stages_while_a_run_has_them_open() {
    let folder = tempfile::tempdir().unwrap();
    let store = write(folder.path(), false);
    snapshot("state_in_use", &sage_host(folder.path(), &["state", "inspect", "state"]));
    snapshot("state_remove_in_use", &sage_host(folder.path(), &["state", "rm", "state", "--force"]));
    drop(store);
    let ran = sage_host(folder.path(), &["state", "inspect", "state", "--output", "json"]);
    assert_eq!((ran.code, ran.stdout.lines().count()), (Some(0), 1), "{}", ran.transcript());
    let report: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let last = &report["epochs"][1];
    assert_eq!((&last["number"], &last["base"], &last["ended"]), (&2.into(), &1.into(), &false.into()));
    assert_eq!(last["manifest"]["plan"], "abc");
    assert_eq!((&last["stages"][0]["kind"], &last["stages"][0]["frames"]), (&"changes".into(), &2.into()));
    assert_eq!((&report["in_use_by"], &report["damage"]), (&serde_json::Value::Null, &serde_json::Value::Null));
    assert!(last["written_ms"].as_u64().unwrap() > 1_600_000_000_000);
}

#[test]
fn a_folder_is_verified_and_a_flipped_bit_ends_it_with_the_place() {
    let folder = tempfile::tempdir().unwrap();
    drop(write(folder.path(), true));
    let verify = || sage_host(folder.path(), &["state", "verify", "state"]);
    snapshot("state_whole", &verify());
    let segment = folder.path().join("state/00000000000000000001.epochs");
    let mut bytes = fs::read(&segment).unwrap();
    bytes[5000] ^= 1;
    fs::write(&segment, bytes).unwrap();
    snapshot("state_damaged", &verify());
    let ran = sage_host(folder.path(), &["state", "verify", "state", "--output", "json"]);
    assert_eq!((ran.code, ran.error()["exit_code"].as_u64()), (Some(2), Some(2)), "{}", ran.transcript());
    snapshot("state_inspect_damaged", &sage_host(folder.path(), &["state", "inspect", "state"]));
}

#[test]
fn only_checkpoints_of_a_run_that_ended_are_removed_without_force() {
    let folder = tempfile::tempdir().unwrap();
    drop(write(folder.path(), false));
    snapshot("state_remove_refused", &sage_host(folder.path(), &["state", "rm", "state"]));
    let ran = sage_host(folder.path(), &["state", "rm", "state", "--force"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "removed 2 epochs in state\n"), "{}", ran.transcript());
    drop(write(folder.path(), true));
    let ran = sage_host(folder.path(), &["state", "rm", "state"]);
    assert_eq!(ran.stdout, "removed 3 epochs in state\n");
    assert!(!folder.path().join("state").exists());
}

#[test]
fn what_is_no_folder_of_checkpoints_is_told_and_never_removed() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("data")).unwrap();
    fs::write(folder.path().join("data/orders.csv"), "1\n").unwrap();
    for action in [&["inspect"][..], &["verify"], &["rm"], &["rm", "--force"]] {
        for name in ["data", "missing"] {
            let ran = sage_host(folder.path(), &[&["state"], action, &[name]].concat());
            let expected = format!("error: {name} has no checkpoints\n");
            assert_eq!((ran.code, ran.stderr.as_str()), (Some(2), expected.as_str()), "{}", ran.transcript());
        }
    }
    let names: Vec<_> = fs::read_dir(folder.path().join("data")).unwrap().map(|entry| entry.unwrap()).collect();
    assert_eq!(names.len(), 1);
}
