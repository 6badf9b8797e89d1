//! Tests of CPU leases, in one process and between several.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::cpu_lease::Hold;
use super::other_process::OtherProcess;
use super::*;

fn cpus(range: std::ops::Range<u32>) -> CpuSet {
    range.collect()
}

fn holder(operator: &str) -> Holder {
    Holder::here("test", operator, 0)
}

fn numbers(leases: &[CpuLease]) -> Vec<u32> {
    leases.iter().map(CpuLease::cpu).collect()
}

fn refused(result: Result<Vec<CpuLease>, ResourceError>) -> LeaseRefused {
    match result {
        Err(ResourceError::Refused(refused)) => refused,
        other => panic!("refused, not {other:?}"),
    }
}

#[test]
fn the_highest_cpus_are_leased_first_and_free_again_when_dropped() {
    let place = tempfile::tempdir().unwrap();
    let folder = LeaseFolder::at(&place.path().join("leases")).unwrap();
    let first = folder.lease(2, &cpus(0..4), 1, holder("a")).unwrap();
    assert_eq!(numbers(&first), [3, 2]);
    let held = folder.held_by_anyone().unwrap();
    assert_eq!(held.iter().map(|held| held.cpu).collect::<Vec<_>>(), [2, 3]);
    assert!(held.iter().all(|held| held.holder == Some(holder("a"))));

    let refused = refused(folder.lease(2, &cpus(0..4), 1, holder("b")));
    assert_eq!((refused.wanted, refused.free, refused.reserved), (2, 1, 1));
    assert_eq!(refused.to_string(), "2 CPUs are wanted, 1 is free");
    assert_eq!(
        refused.held[0].to_string(),
        format!("CPU 2 is leased by process {} (pipeline \"test\", operator \"a\", instance 0)", std::process::id())
    );
    assert_eq!(folder.held_by_anyone().unwrap().len(), 2, "a refusal takes nothing");

    drop(first);
    assert_eq!(folder.held_by_anyone().unwrap(), []);
    assert_eq!(numbers(&folder.lease(3, &cpus(0..4), 1, holder("b")).unwrap()), [3, 2, 1]);
}

#[test]
fn several_instances_get_all_or_nothing() {
    let place = tempfile::tempdir().unwrap();
    let folder = LeaseFolder::at(&place.path().join("leases")).unwrap();
    let request = |count, operator| LeaseRequest { count, holder: holder(operator) };
    let error = folder.lease_all(&[request(2, "a"), request(2, "b")], &cpus(0..4), 1).unwrap_err();
    assert_eq!(error.to_string(), "4 CPUs are wanted, 3 are free");
    assert_eq!(folder.held_by_anyone().unwrap(), []);

    let leases = folder.lease_all(&[request(2, "a"), request(1, "b")], &cpus(0..4), 1).unwrap();
    assert_eq!(leases.iter().map(|leases| numbers(leases)).collect::<Vec<_>>(), [vec![3, 2], vec![1]]);
    let names = folder.held_by_anyone().unwrap().into_iter().map(|held| held.holder.unwrap().operator);
    assert_eq!(names.collect::<Vec<_>>(), ["b", "a", "a"]);
}

#[test]
fn a_holder_whose_name_cannot_be_read_still_holds() {
    let place = tempfile::tempdir().unwrap();
    let folder = LeaseFolder::at(place.path()).unwrap();
    let _lease = folder.lease(1, &cpus(0..1), 0, holder("a")).unwrap();
    fs::write(place.path().join("cpu-0.lock"), [0xFF; 5000]).unwrap();
    assert_eq!(folder.held_by_anyone().unwrap(), [HeldCpu { cpu: 0, holder: None, by: HeldBy::Lock(None) }]);
    assert_eq!(
        refused(folder.lease(1, &cpus(0..1), 0, holder("b"))).held[0].to_string(),
        "CPU 0 is leased by a process that left no name"
    );
}

#[test]
fn a_folder_in_which_others_could_take_leases_away_is_cooperative_and_a_link_is_no_folder() {
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name);

    fs::create_dir(path("open")).unwrap();
    fs::set_permissions(path("open"), fs::Permissions::from_mode(0o777)).unwrap();
    symlink(path("open"), path("link")).unwrap();
    fs::write(path("file"), "").unwrap();
    for (name, why) in
        [("link", "it is a symbolic link or not a folder"), ("file", "it is a symbolic link or not a folder")]
    {
        let error = LeaseFolder::at(&path(name)).unwrap_err();
        assert_eq!(error.to_string(), format!("{} is not safe for CPU leases: {why}", path(name).display()));
    }

    let place_of = LeaseFolder::at(&path("open")).unwrap().place().unwrap();
    assert_eq!(place_of.tier, Tier::Cooperative);
    assert!(place_of.why.is_some_and(|why| why.contains("replace its files")));

    fs::set_permissions(path("open"), fs::Permissions::from_mode(0o1777)).unwrap();
    let shared = LeaseFolder::at(&path("open")).unwrap();
    let _lease = shared.lease(1, &cpus(0..1), 0, holder("a")).unwrap();
    let mode = fs::metadata(path("open").join("cpu-0.lock")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o666, "another user must be able to write its name there");
}

#[test]
fn a_folder_made_for_all_users_lets_all_of_them_lock_and_write() {
    let place = tempfile::tempdir().unwrap();
    for (mode, scope, of_files) in [(0o1777, LeaseScope::Machine, 0o666), (0o700, LeaseScope::User, 0o600)] {
        let path = place.path().join(format!("{mode:o}"));
        let folder = LeaseFolder::create(&path, mode, scope).unwrap();
        let _lease = folder.lease(1, &cpus(0..1), 0, holder("a")).unwrap();
        let mode_of = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode_of(&path), mode);
        assert_eq!(mode_of(&path.join("cpu-0.lock")), of_files);
    }
}

#[test]
fn a_lock_file_that_leads_elsewhere_is_not_written_to() {
    let place = tempfile::tempdir().unwrap();
    let folder = LeaseFolder::at(&place.path().join("leases")).unwrap();
    let precious = place.path().join("precious");
    fs::write(&precious, "precious").unwrap();
    symlink(&precious, folder.path().join("cpu-0.lock")).unwrap();
    fs::hard_link(&precious, folder.path().join("cpu-1.lock")).unwrap();
    for (cpu, what) in [(0, "a symbolic link"), (1, "a file with several names")] {
        let refused = refused(folder.lease(1, &cpus(cpu..cpu + 1), 0, holder("a")));
        let user = rustix::process::geteuid().as_raw();
        let said = format!("CPU {cpu} is left out: {what} of user {user} is in the place of its lock file");
        assert_eq!(refused.held[0].to_string(), said);
    }
    assert_eq!(fs::read_to_string(&precious).unwrap(), "precious");
}

#[test]
fn of_two_processes_that_ask_at_once_one_gets_everything_and_the_other_nothing() {
    let place = tempfile::tempdir().unwrap();
    let folder = LeaseFolder::at(&place.path().join("leases")).unwrap();
    let mut processes = [OtherProcess::start(&folder), OtherProcess::start(&folder)];
    for round in 0..50 {
        processes.iter_mut().for_each(|process| process.tell("lease 2 of 3"));
        let mut answers: Vec<_> = processes.iter_mut().map(OtherProcess::answer).collect();
        answers.sort();
        assert_eq!(answers, ["2 CPUs are wanted, 1 is free", "leased [2, 1]"], "round {round}");
        processes.iter_mut().for_each(|process| process.tell("drop"));
        processes.iter_mut().for_each(|process| assert_eq!(process.answer(), "dropped"));
    }
}

#[test]
fn a_killed_process_holds_nothing_any_more() {
    let place = tempfile::tempdir().unwrap();
    let folder = LeaseFolder::at(&place.path().join("leases")).unwrap();
    let mut other = OtherProcess::start(&folder);
    other.tell("lease 2 of 3");
    assert_eq!(other.answer(), "leased [2, 1]");
    let held = refused(folder.lease(2, &cpus(0..3), 0, holder("here"))).held;
    assert_eq!(held.len(), 2);
    assert!(held.iter().all(|held| held.holder.as_ref().unwrap().pid == other.id()));

    other.kill();
    assert_eq!(numbers(&folder.lease(3, &cpus(0..3), 0, holder("here")).unwrap()), [2, 1, 0]);
}

#[test]
fn a_folder_that_somebody_holds_and_does_not_let_go_of_is_an_error_that_names_the_process_and_its_user() {
    let place = tempfile::tempdir().unwrap();
    let folder = LeaseFolder::at(&place.path().join("leases")).unwrap();
    let held = folder.ledger_lock(Hold::Alone).unwrap();
    let timeout = std::time::Duration::from_millis(5);
    let error = folder.choosing_within(Hold::Together, timeout).unwrap_err();
    let (me, user) = (std::process::id(), rustix::process::geteuid().as_raw());
    let path = folder.path().display();
    assert_eq!(error.to_string(), format!("{path} has been locked by process {me} of user {user} for 5ms"));
    drop(held);
    folder.choosing_within(Hold::Alone, timeout).unwrap();
}

#[test]
fn whoever_holds_a_cpu_under_another_name_is_named_by_the_kernel() {
    let place = tempfile::tempdir().unwrap();
    let folder = LeaseFolder::at(&place.path().join("leases")).unwrap();
    let _leases = folder.lease(2, &cpus(0..2), 0, holder("a")).unwrap();
    let me = std::process::id();
    let liar = Holder { pid: me + 1, ..holder("liar") };
    fs::write(folder.path().join("cpu-0.lock"), serde_json::to_vec(&liar).unwrap()).unwrap();
    fs::write(folder.path().join("cpu-1.lock"), "").unwrap();
    let said: Vec<String> = folder.taken().unwrap().cpus.iter().map(ToString::to_string).collect();
    let user = rustix::process::geteuid().as_raw();
    assert_eq!(
        said,
        [
            format!("CPU 0 is locked by process {me} of user {user}, and leased by {liar} as its file says"),
            format!("CPU 1 is locked by process {me} of user {user}, which left no name"),
        ]
    );
}
