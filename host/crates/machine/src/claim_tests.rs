//! Tests of the machine's ledger, in one process and between several.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use sage_test_support::{Need, skip};

use super::other_process::OtherProcess;
use super::*;

fn folder() -> (tempfile::TempDir, LeaseFolder) {
    let place = tempfile::tempdir().unwrap();
    let folder = LeaseFolder::at(&place.path().join("leases")).unwrap();
    (place, folder)
}

fn claim(memory: u64) -> Claim {
    let amounts = Amounts { memory, memory_at_most: memory, ..Amounts::default() };
    Claim::here("test", "blue", amounts, CpuSet::default())
}

fn claimed(folder: &LeaseFolder, memory: u64) -> HeldClaim {
    folder.choose().unwrap().claim(claim(memory)).unwrap()
}

/// The names of the claims' files, sorted.
fn files(folder: &LeaseFolder) -> Vec<String> {
    let names = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| name.starts_with("run-")).collect();
    names.sort();
    names
}

#[test]
fn a_claim_is_seen_by_all_and_its_file_goes_with_it() {
    let (_place, folder) = folder();
    let first = claimed(&folder, 10);
    let second = claimed(&folder, 5);
    let pid = std::process::id();
    assert_eq!(files(&folder), [format!("run-{pid}-0.lock"), format!("run-{pid}-1.lock")]);
    let taken = folder.taken().unwrap();
    assert_eq!(taken.claims.len(), 2);
    assert_eq!(taken.sum(|claim| claim.amounts.memory), 15);
    assert_eq!(taken.claims[0].to_string(), format!("process {pid} (pipeline \"test\", tenant \"blue\")"));
    assert_eq!(folder.choose().unwrap().taken().unwrap(), taken);

    drop(first);
    assert_eq!(folder.taken().unwrap().claims, [claim(5)]);
    assert_eq!(files(&folder), [format!("run-{pid}-1.lock")]);
    // The freed name is used for the next claim, and the other claims are not touched.
    let third = claimed(&folder, 7);
    drop(second);
    assert_eq!(folder.taken().unwrap().claims, [claim(7)]);
    drop(third);
    assert_eq!(files(&folder), [""; 0]);
}

#[test]
fn of_two_processes_that_claim_at_once_one_gets_it_and_the_other_sees_it() {
    let (_place, folder) = folder();
    let mut processes = [OtherProcess::start(&folder), OtherProcess::start(&folder)];
    for round in 0..100 {
        processes.iter_mut().for_each(|process| process.tell("claim 2 of 3"));
        let mut answers: Vec<_> = processes.iter_mut().map(OtherProcess::answer).collect();
        answers.sort();
        assert_eq!(answers, ["2 of 3 are held", "claimed 2"], "round {round}");
        assert_eq!(folder.taken().unwrap().sum(|claim| claim.amounts.memory), 2, "round {round}");
        processes.iter_mut().for_each(|process| process.tell("drop"));
        processes.iter_mut().for_each(|process| assert_eq!(process.answer(), "dropped"));
        assert_eq!(files(&folder), [""; 0], "round {round}");
    }
}

#[test]
fn a_killed_process_claims_nothing_at_once_and_the_next_claim_sweeps_its_file() {
    let (_place, folder) = folder();
    let mut other = OtherProcess::start(&folder);
    other.tell("claim 2 of 3");
    assert_eq!(other.answer(), "claimed 2");
    let claims = folder.taken().unwrap().claims;
    assert_eq!((claims[0].pid, claims[0].amounts.memory), (other.id(), 2));

    other.kill();
    assert_eq!(Holdings { place: None, ..folder.taken().unwrap() }, Holdings::default(), "a dead process has nothing");
    let name = format!("run-{}-0.lock", other.id());
    assert_eq!(files(&folder), [name], "a reader removes nothing");

    let held = claimed(&folder, 1);
    assert_eq!(files(&folder), [format!("run-{}-0.lock", std::process::id())]);
    assert_eq!(folder.taken().unwrap().claims, [held.claim().clone()]);
    drop(held);
    assert_eq!(files(&folder), [""; 0]);
}

#[test]
fn a_claim_that_would_be_longer_than_anybody_reads_is_refused_and_leaves_no_file() {
    let (_place, folder) = folder();
    let custom = (0..100_000).map(|at| (format!("resource-{at}"), 1)).collect();
    let amounts = Amounts { custom, ..Amounts::default() };
    let refused = folder.choose().unwrap().claim(Claim::here("test", "blue", amounts, CpuSet::default()));
    assert!(refused.is_err());
    assert_eq!(files(&folder), [""; 0]);
}

#[test]
fn only_a_file_that_is_still_the_held_one_is_removed() {
    let (_place, folder) = folder();
    let held = claimed(&folder, 10);
    let path = folder.path().join(&files(&folder)[0]);
    fs::remove_file(&path).unwrap();
    fs::write(&path, "another user's").unwrap();
    drop(held);
    assert_eq!(fs::read_to_string(&path).unwrap(), "another user's");
}

#[test]
fn what_is_no_claims_file_holds_nothing_and_is_left_alone() {
    let (place, folder) = folder();
    let precious = place.path().join("precious");
    fs::write(&precious, serde_json::to_string(&claim(99)).unwrap() + "\n").unwrap();
    let name = |name: &str| folder.path().join(name);
    symlink(&precious, name("run-1-0.lock")).unwrap();
    fs::hard_link(&precious, name("run-2-0.lock")).unwrap();
    fs::create_dir(name("run-3-0.lock")).unwrap();
    fs::write(name("run-4-0.txt"), "").unwrap();
    let made = std::process::Command::new("mkfifo").arg(name("run-5-0.lock")).status().unwrap();
    assert!(made.success());

    let held = claimed(&folder, 1);
    assert_eq!(folder.taken().unwrap().claims, [claim(1)]);
    drop(held);
    assert_eq!(files(&folder).len(), 5, "{:?}", files(&folder));
    assert!(fs::read_to_string(&precious).unwrap().contains("99"));
}

#[test]
fn an_abandoned_file_that_holds_nonsense_is_swept() {
    let (_place, folder) = folder();
    fs::write(folder.path().join("run-77-0.lock"), [0xFF; 5000]).unwrap();
    fs::write(folder.path().join("run-78-0.lock"), "").unwrap();
    let held = claimed(&folder, 1);
    assert_eq!(files(&folder).len(), 1);
    drop(held);
}

#[test]
fn in_a_folder_for_all_users_everybody_reads_claims_and_only_the_owner_writes_them() {
    let place = tempfile::tempdir().unwrap();
    let mode_of = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    for (mode, scope, of_file) in [(0o1777, LeaseScope::Machine, 0o644), (0o700, LeaseScope::User, 0o600)] {
        let folder = LeaseFolder::create(&place.path().join(format!("{mode:o}")), mode, scope).unwrap();
        let _held = claimed(&folder, 1);
        assert_eq!(mode_of(&folder.path().join(&files(&folder)[0])), of_file);
    }
}

#[test]
fn root_sweeps_what_another_user_left() {
    let place = tempfile::tempdir().unwrap();
    let folder = LeaseFolder::create(&place.path().join("all"), 0o1777, LeaseScope::Machine).unwrap();
    let path = folder.path().join("run-1-0.lock");
    fs::write(&path, serde_json::to_string(&claim(1)).unwrap()).unwrap();
    if std::os::unix::fs::chown(&path, Some(65_534), None).is_err() {
        return skip(Need::Root, "only root can make a file another user's");
    }
    let _held = claimed(&folder, 1);
    assert_eq!(files(&folder), [format!("run-{}-0.lock", std::process::id())]);
}
