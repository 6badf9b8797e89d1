//! Tests of device shares in the machine's ledger, in one process and between several.

use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use sage_test_support::{Need, skip};

use super::other_process::OtherProcess;
use super::*;

const HOUR: Duration = Duration::from_secs(3600);

fn folder() -> (tempfile::TempDir, LeaseFolder) {
    let place = tempfile::tempdir().unwrap();
    let folder = LeaseFolder::at(&place.path().join("leases")).unwrap();
    (place, folder)
}

fn device(token: u64, share: u32) -> DeviceClaim {
    DeviceClaim {
        device: "cpu0".to_owned(),
        token,
        operator: "embed".to_owned(),
        instance: 0,
        share,
        memory: 100,
        cpus: CpuSet::default(),
        state: ShareState::Held,
    }
}

fn claimed(folder: &LeaseFolder, devices: Vec<DeviceClaim>, ttl: Duration) -> HeldClaim {
    let claim = Claim::here("test", "blue", Amounts::default(), CpuSet::default()).with_devices(devices, ttl);
    folder.choose().unwrap().claim(claim).unwrap()
}

/// The tokens and states of all shares.
fn seen(folder: &LeaseFolder) -> Vec<(u64, ShareState)> {
    folder.taken().unwrap().devices.into_iter().map(|share| (share.claim.token, share.claim.state)).collect()
}

fn used(folder: &LeaseFolder) -> (u32, u64) {
    let used = DeviceUse::of("cpu0", &folder.taken().unwrap().devices);
    (used.share, used.memory)
}

/// Waits for an effect of another process or of time. The test fails if the effect does not come.
fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) -> Duration {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < Duration::from_secs(30), "{what}: not within 30 s");
        thread::sleep(Duration::from_millis(2));
    }
    started.elapsed()
}

#[test]
fn shares_are_seen_by_all_and_change_with_what_their_holder_writes() {
    let (_place, folder) = folder();
    let held = claimed(&folder, vec![device(1, 2_500), device(2, 5_000)], HOUR);
    assert_eq!(used(&folder), (7_500, 200));
    let share = &folder.taken().unwrap().devices[0];
    let pid = std::process::id();
    assert_eq!(
        share.to_string(),
        format!("lease 1 of process {pid} (pipeline \"test\", operator \"embed\", instance 0)")
    );
    held.change_devices(vec![DeviceClaim { state: ShareState::Draining, ..device(2, 5_000) }], HOUR).unwrap();
    assert_eq!(seen(&folder), [(2, ShareState::Draining)]);
    assert_eq!(used(&folder), (5_000, 100), "a share that is being revoked is not free yet");
    held.change_devices(Vec::new(), HOUR).unwrap();
    assert_eq!(used(&folder), (0, 0));
    drop(held);
    assert_eq!(Holdings { place: None, ..folder.taken().unwrap() }, Holdings::default());
}

#[test]
fn tokens_only_rise_whoever_asks_and_whatever_becomes_of_the_counter() {
    let (_place, folder) = folder();
    let next = |count| folder.choose().unwrap().tokens(count).unwrap();
    assert_eq!([next(1), next(3), next(1)], [1, 2, 5]);
    let mut other = OtherProcess::start(&folder);
    other.tell("token");
    assert_eq!(other.answer(), "token 6");
    let _held = claimed(&folder, vec![device(40, 1)], HOUR);
    fs::write(folder.path().join("leases.count"), "nonsense").unwrap();
    assert_eq!(next(1), 41, "never below one that is in use");
}

#[test]
fn a_lease_that_is_not_renewed_counts_no_more_and_one_that_is_does() {
    let (_place, folder) = folder();
    let kept = claimed(&folder, vec![device(1, 5_000)], HOUR);
    let late = claimed(&folder, vec![device(2, 5_000)], Duration::ZERO);
    wait_for("its time is over", || seen(&folder) == [(1, ShareState::Held), (2, ShareState::Expired)]);
    assert_eq!(used(&folder), (5_000, 100));
    kept.beat(since_boot()).unwrap();
    assert_eq!(folder.taken().unwrap().claims.len(), 2, "the rest of the claim is still held");
    drop((kept, late));
}

#[test]
fn a_killed_holder_holds_no_device_within_a_second() {
    let (_place, folder) = folder();
    let mut other = OtherProcess::start(&folder);
    other.tell("device");
    assert_eq!(other.answer(), "holds cpu0");
    assert_eq!(used(&folder), (10_000, 100));
    let started = Instant::now();
    other.kill();
    assert_eq!(used(&folder), (0, 0));
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
}

#[test]
fn a_device_that_was_not_let_go_of_is_not_free_whatever_became_of_the_lease() {
    let (_place, folder) = folder();
    let held = claimed(&folder, vec![device(1, 2_500)], Duration::ZERO);
    let busy = folder.choose().unwrap().busy(held.claim(), &device(1, 2_500)).unwrap();
    wait_for("its time is over", || seen(&folder) == [(1, ShareState::Busy)]);
    assert!(folder.choose().unwrap().busy(held.claim(), &device(1, 2_500)).is_err(), "it is taken once");
    assert_eq!(used(&folder), (2_500, 100), "the lease is over, the device in use");
    drop(held);
    let share = folder.taken().unwrap().devices[0].clone();
    assert_eq!(
        (share.pipeline.as_str(), share.claim),
        ("test", DeviceClaim { state: ShareState::Busy, ..device(1, 2_500) })
    );
    drop(busy);
    assert_eq!(used(&folder), (0, 0));
    drop(claimed(&folder, Vec::new(), HOUR));
    let left = fs::read_dir(folder.path())
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().ends_with(".busy"));
    assert_eq!(left.count(), 0, "the next claim removes files without a holder");
}

#[test]
fn a_killed_holders_device_is_free_when_its_devices_process_ends() {
    let (_place, folder) = folder();
    let mut other = OtherProcess::start(&folder);
    other.tell("device with a process");
    let answer = other.answer();
    let pid: i32 = answer.strip_prefix("holds cpu0 with ").unwrap().parse().unwrap();
    other.kill();
    // The exec of the device's process closes its inherited descriptors. The exec may still be in progress.
    wait_for("its process has nothing else", || seen(&folder) == [(7, ShareState::Busy)]);
    assert_eq!(used(&folder), (10_000, 100));
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    let took = wait_for("the device is free", || used(&folder) == (0, 0));
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[test]
fn a_lock_that_is_left_to_a_process_lasts_as_long_as_that() {
    let (_place, folder) = folder();
    let held = claimed(&folder, vec![device(1, 2_500)], HOUR);
    let busy = folder.choose().unwrap().busy(held.claim(), &device(1, 2_500)).unwrap();
    let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::from(busy.leave())).spawn().unwrap();
    drop(held);
    assert_eq!(seen(&folder), [(1, ShareState::Busy)]);
    drop(child.stdin.take());
    child.wait().unwrap();
    assert_eq!(seen(&folder), []);
}

#[test]
fn a_busy_file_that_cannot_be_read_counts_as_the_whole_device() {
    let (_place, folder) = folder();
    let path = folder.path().join("device-cpu0-9.busy");
    fs::write(&path, [0xFF; 100]).unwrap();
    let file = fs::File::open(&path).unwrap();
    assert_eq!(used(&folder), (0, 0), "no process holds it");
    rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive).unwrap();
    assert_eq!((used(&folder), seen(&folder)), ((10_000, 0), vec![(9, ShareState::Busy)]));
}

#[test]
fn taking_away_a_lease_that_nobody_holds_is_an_error_that_names_those_there_are() {
    let (_place, folder) = folder();
    let error = folder.revoke(3, Duration::ZERO, Duration::ZERO).unwrap_err();
    assert_eq!(error.to_string(), "there is no lease 3 on any device, nor any other");
    let _held = claimed(&folder, vec![device(1, 1), device(2, 1)], HOUR);
    let error = folder.revoke(3, Duration::ZERO, Duration::ZERO).unwrap_err();
    assert_eq!(error.to_string(), "there is no lease 3 on any device, there is 1, 2");
}

#[test]
fn a_request_reaches_its_holder_and_is_told_as_what_came_of_it() {
    let (_place, folder) = folder();
    let held = claimed(&folder, vec![device(1, 1), device(2, 1)], HOUR);
    let grace = Duration::from_millis(1_500);
    let not_free = folder.revoke(1, grace, Duration::ZERO);
    assert!(matches!(not_free, Ok(Revoked::NotFree(share)) if share.claim.token == 1), "the holder did not look");
    assert_eq!([folder.requested(1), folder.requested(2)], [Some(grace), None]);
    held.change_devices(vec![device(2, 1)], HOUR).unwrap();
    drop(claimed(&folder, Vec::new(), HOUR));
    assert_eq!(folder.requested(1), None, "the next claim removes requests for leases that no longer exist");
}

#[test]
fn a_lost_device_is_told_and_counts_no_more() {
    let (_place, folder) = folder();
    let lost = DeviceClaim { state: ShareState::DeviceLost, ..device(1, 10_000) };
    let _held = claimed(&folder, vec![lost], HOUR);
    assert_eq!((seen(&folder), used(&folder)), (vec![(1, ShareState::DeviceLost)], (0, 0)));
}

#[test]
fn a_thousand_leases_are_written_down_and_what_is_too_much_says_so() {
    let (_place, folder) = folder();
    let leases = |count| (1..=count).map(|token| device(token, 1)).collect::<Vec<_>>();
    let held = claimed(&folder, leases(1_000), HOUR);
    assert_eq!(used(&folder), (1_000, 100_000));
    let claim = Claim::here("test", "blue", Amounts::default(), CpuSet::default()).with_devices(leases(20_000), HOUR);
    let claimed = folder.choose().unwrap().claim(claim).map(drop);
    for refused in [claimed, held.change_devices(leases(20_000), HOUR)] {
        let said = refused.unwrap_err().to_string();
        assert!(said.starts_with("the claim, with 20000 leases on devices, has "), "{said}");
        assert!(said.ends_with(" bytes, at most 1048576 are allowed"), "{said}");
    }
    assert_eq!(used(&folder), (1_000, 100_000), "a refused request changes nothing");
}

#[test]
fn a_heartbeat_waits_for_nobody_and_a_change_no_longer_than_it_is_told() {
    let (_place, folder) = folder();
    let held = claimed(&folder, vec![device(1, 1)], HOUR);
    let somebody = folder.choose().unwrap();
    held.beat(since_boot()).unwrap();
    let timeout = Duration::from_millis(1);
    let busy = held.change_devices(Vec::new(), timeout);
    assert!(matches!(busy, Err(ResourceError::FolderBusy { timeout: waited, .. }) if waited == timeout));
    drop(somebody);
}

#[test]
fn a_request_of_another_user_is_none() {
    let (_place, folder) = folder();
    let _held = claimed(&folder, vec![device(1, 1)], HOUR);
    let path = folder.path().join("revoke-1.request");
    fs::write(&path, "5ms").unwrap();
    assert_eq!(folder.requested(1), Some(Duration::from_millis(5)));
    if std::os::unix::fs::chown(&path, Some(12_345), None).is_err() {
        return skip(Need::Root, "only root may give files away");
    }
    assert_eq!(folder.requested(1), None);
    let grace = Duration::from_millis(7);
    let _not_free = folder.revoke(1, grace, Duration::ZERO).unwrap();
    assert_eq!(folder.requested(1), Some(grace), "root puts its own in the place of it");
}

#[test]
fn cpus_that_a_device_has_to_itself_are_as_good_as_leased_while_its_lease_counts() {
    let (_place, folder) = folder();
    let allowed: CpuSet = (0..3).collect();
    let own = DeviceClaim { cpus: [2].into_iter().collect(), ..device(1, 2_500) };
    let held = claimed(&folder, vec![own.clone(), DeviceClaim { token: 2, ..own.clone() }], HOUR);
    let seen =
        |folder: &LeaseFolder| folder.held_by_anyone().unwrap().into_iter().map(|held| held.cpu).collect::<Vec<_>>();
    assert_eq!(seen(&folder), [2]);
    let holder = folder.taken().unwrap().cpus[0].to_string();
    assert!(holder.ends_with("(pipeline \"test\", operator \"embed\", instance 0)"), "{holder}");
    let lease = |count| folder.lease(count, &allowed, 0, Holder::here("other", "lanes", 0));
    assert!(lease(3).is_err(), "two are left");
    let lanes = lease(2).unwrap();
    assert_eq!(lanes.iter().map(CpuLease::cpu).collect::<Vec<_>>(), [1, 0]);
    held.change_devices(vec![DeviceClaim { state: ShareState::Expired, ..own }], HOUR).unwrap();
    assert_eq!(seen(&folder), [0, 1], "a lease that is over holds nothing");
    drop(held);
    drop(lanes);
    assert!(seen(&folder).is_empty());
}
