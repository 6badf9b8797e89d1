//! The thread that keeps a run's leases, in this process and in a process that is stopped.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::{
    HeldDevices, InferenceError, InstanceLease, Lease, LeaseEnd, LeaseState, ModelFacts, RunAnswer, Runner, Tensor,
};
use sage_machine::{
    Amounts, Claim, CpuSet, DeviceClaim, DeviceUse, LeaseFolder, ResourceError, Revoked, ShareState, since_boot,
};
use sage_plan::{ModelSpec, StageId};

const HOUR: Duration = Duration::from_secs(3600);

fn folder() -> (tempfile::TempDir, LeaseFolder) {
    let place = tempfile::tempdir().unwrap();
    let folder = LeaseFolder::at(&place.path().join("leases")).unwrap();
    (place, folder)
}

/// Leases of half a device, one for each of `instances` instances of stage 1.
fn keep(folder: &LeaseFolder, instances: u32, ttl: Duration) -> HeldDevices {
    let ledger_lock = folder.choose().unwrap();
    let first = ledger_lock.tokens(instances.into()).unwrap();
    let leases: Vec<_> = (0..instances)
        .map(|instance| InstanceLease {
            stage: StageId(1),
            claim: DeviceClaim {
                device: "cpu0".to_owned(),
                token: first + u64::from(instance),
                operator: "embed".to_owned(),
                instance,
                share: 5_000,
                memory: 1,
                cpus: CpuSet::default(),
                state: ShareState::Held,
            },
            models: vec!["shared".to_owned(), format!("only {instance}")],
        })
        .collect();
    let devices = leases.iter().map(|lease| lease.claim.clone()).collect();
    let claim = Claim::here("test", "blue", Amounts::default(), CpuSet::default()).with_devices(devices, ttl);
    let held = ledger_lock.claim(claim).unwrap();
    drop(ledger_lock);
    HeldDevices::keep(Arc::new(held), leases).unwrap()
}

fn used(folder: &LeaseFolder) -> u32 {
    DeviceUse::of("cpu0", &folder.taken().unwrap().devices).share
}

fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) -> Duration {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < Duration::from_secs(30), "{what}: not within 30 s");
        thread::sleep(Duration::from_millis(2));
    }
    started.elapsed()
}

fn lease(held: &HeldDevices, instance: u32) -> Arc<Lease> {
    Arc::clone(&held.of(StageId(1), instance)[0])
}

#[test]
fn leases_are_renewed_for_as_long_as_they_are_held() {
    let (_place, folder) = folder();
    let ttl = Duration::from_millis(400);
    let held = keep(&folder, 2, ttl);
    let started = Instant::now();
    while started.elapsed() < 3 * ttl {
        assert_eq!((used(&folder), lease(&held, 1).state()), (10_000, LeaseState::Held));
        thread::sleep(Duration::from_millis(10));
    }
    drop(held);
    assert_eq!(used(&folder), 0);
    assert_eq!(folder.taken().unwrap().claims, []);
}

#[test]
fn a_lease_that_is_taken_away_is_free_when_nothing_runs_for_it_and_its_neighbours_go_on() {
    let (_place, folder) = folder();
    let held = keep(&folder, 2, HOUR);
    let (first, second) = (lease(&held, 0), lease(&held, 1));
    let run = first.enter().unwrap();
    let not_free = folder.revoke(first.token(), Duration::ZERO, Duration::from_millis(600)).unwrap();
    let Revoked::NotFree(share) = not_free else { panic!("free while something runs for it") };
    assert_eq!((share.claim.token, share.claim.state), (first.token(), ShareState::Draining));
    assert_eq!(run.still_good(), Err(InferenceError::LeaseLost(LeaseEnd::Revoked)), "its answer is stale");
    assert_eq!(used(&folder), 10_000);
    drop(run);
    assert_eq!(folder.revoke(first.token(), Duration::ZERO, Duration::from_secs(30)).unwrap(), Revoked::Free);
    assert_eq!((first.state(), second.state(), used(&folder)), (LeaseState::Revoked, LeaseState::Held, 5_000));
    let gone = folder.revoke(first.token(), Duration::ZERO, Duration::ZERO);
    assert!(matches!(gone, Err(ResourceError::UnknownLease { .. })));
    assert_eq!(folder.requested(first.token()), None);
}

#[test]
fn what_runs_when_a_lease_is_taken_away_has_its_grace() {
    let (_place, folder) = folder();
    let held = keep(&folder, 1, HOUR);
    let lease = lease(&held, 0);
    let run = lease.enter().unwrap();
    let token = lease.token();
    let asking = thread::spawn({
        let folder = folder.clone();
        move || folder.revoke(token, HOUR, Duration::ZERO).unwrap()
    });
    wait_for("it is draining", || lease.state() == LeaseState::Draining);
    assert_eq!(run.still_good(), Ok(()));
    assert_eq!(lease.enter().unwrap_err(), InferenceError::LeaseLost(LeaseEnd::Draining));
    drop(run);
    assert_eq!(asking.join().unwrap(), Revoked::Free);
}

/// A stand-in for a device's process, which keeps the locks that it receives and records its calls.
#[derive(Debug, Default)]
struct Driver {
    locks: Mutex<Vec<(u64, OwnedFd)>>,
    told: Mutex<Vec<String>>,
    kept_until: Mutex<Duration>,
    failure: Mutex<Option<InferenceError>>,
}

impl Driver {
    fn of(held: &HeldDevices) -> (Arc<Self>, Arc<dyn Runner>) {
        let driver = Arc::new(Self { locks: Mutex::new(held.locks("cpu0").take().unwrap()), ..Self::default() });
        let runner: Arc<dyn Runner> = Arc::<Self>::clone(&driver);
        held.drive("cpu0", &runner);
        (driver, runner)
    }

    fn told(&self) -> Vec<String> {
        self.told.lock().unwrap().clone()
    }

    fn tell(&self, what: String) {
        self.told.lock().unwrap().push(what);
    }
}

impl Runner for Driver {
    fn slots(&self) -> usize {
        1
    }

    fn load(&self, model: &ModelSpec, _: Instant) -> Result<ModelFacts, InferenceError> {
        Err(InferenceError::UnknownModel(model.name.clone()))
    }

    fn run(&self, model: &str, _: Vec<Tensor>, _: Instant) -> Result<RunAnswer, InferenceError> {
        Err(InferenceError::UnknownModel(model.to_owned()))
    }

    fn memory_used(&self) -> Option<u64> {
        None
    }

    fn close(&self) {
        self.tell("close".to_owned());
    }

    fn keep_until(&self, since_boot: Duration) {
        *self.kept_until.lock().unwrap() = since_boot;
    }

    fn abandon(&self, _: &str) {
        self.tell("abandon".to_owned());
    }

    fn forget(&self, lease: u64, models: &[String], _: Instant) -> Result<(), InferenceError> {
        self.tell(format!("forget {lease} {models:?}"));
        self.locks.lock().unwrap().retain(|(other, _)| *other != lease);
        Ok(())
    }

    fn failed(&self) -> Option<InferenceError> {
        self.failure.lock().unwrap().clone()
    }
}

fn states(folder: &LeaseFolder) -> Vec<(u64, ShareState)> {
    folder.taken().unwrap().devices.into_iter().map(|share| (share.claim.token, share.claim.state)).collect()
}

#[test]
fn a_share_is_busy_beyond_its_lease_for_as_long_as_the_process_has_its_lock() {
    let (_place, folder) = folder();
    let held = keep(&folder, 1, HOUR);
    let (driver, _runner) = Driver::of(&held);
    assert_eq!(used(&folder), 5_000, "the lock and the lease are one share");
    assert!(held.locks("cpu0").take().is_err(), "there is one process at a time");
    let token = lease(&held, 0).token();
    let not_free = folder.revoke(token, Duration::ZERO, Duration::from_secs(1)).unwrap();
    let Revoked::NotFree(share) = not_free else { panic!("free while the process has its lock") };
    assert_eq!(share.claim.state, ShareState::Busy);
    wait_for("the process is ended with the last lease", || driver.told() == ["close"]);
    assert!(held.locks("cpu0").take().is_err(), "no process is started for a lease that is over");
    drop(held);
    assert_eq!(states(&folder), [(token, ShareState::Busy)], "whatever became of the run");
    driver.locks.lock().unwrap().clear();
    assert_eq!(used(&folder), 0);
}

#[test]
fn a_process_goes_on_for_the_leases_that_are_held_and_gives_back_what_the_others_had() {
    let (_place, folder) = folder();
    let held = keep(&folder, 2, HOUR);
    let (driver, _runner) = Driver::of(&held);
    let [first, second] = [0, 1].map(|instance| lease(&held, instance).token());
    let run = lease(&held, 0).enter().unwrap();
    let revoked = folder.revoke(first, Duration::ZERO, Duration::from_secs(1)).unwrap();
    assert!(matches!(revoked, Revoked::NotFree(_)), "it is used");
    wait_for("what runs for it is ended", || driver.told().starts_with(&["abandon".to_owned()]));
    drop(run);
    wait_for("its share is free", || states(&folder) == [(second, ShareState::Held)]);
    let told = driver.told();
    assert_eq!(told.last().unwrap(), &format!("forget {first} [\"only 0\"]"), "not what the other one needs");
    assert!(told.iter().rev().skip(1).all(|what| what == "abandon"), "{told:?}");
    assert_eq!(*driver.locks.lock().unwrap().iter().map(|(lease, _)| *lease).collect::<Vec<_>>(), [second]);
}

#[test]
fn a_process_is_told_until_when_its_leases_are_kept() {
    let (_place, folder) = folder();
    let held = keep(&folder, 1, Duration::from_secs(2));
    let (driver, _runner) = Driver::of(&held);
    let kept_until = || *driver.kept_until.lock().unwrap();
    let first = kept_until();
    assert_eq!(first, held.kept_until());
    wait_for("it is renewed", || kept_until() > first);
    assert!(kept_until() <= since_boot() + Duration::from_secs(2));
}

#[test]
fn healthy_leases_are_renewed_while_somebody_holds_the_ledger() {
    let (_place, folder) = folder();
    let ttl = Duration::from_millis(800);
    let held = keep(&folder, 2, ttl);
    let ledger_lock = folder.choose().unwrap();
    // A write that has to wait for the ledger lock.
    lease(&held, 0).release();
    let started = Instant::now();
    while started.elapsed() < 3 * ttl {
        assert_eq!(lease(&held, 1).state(), LeaseState::Held);
        thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(ledger_lock.taken().unwrap().devices.len(), 2);
    drop(ledger_lock);
    wait_for("it is written down", || used(&folder) == 5_000);
}

#[test]
fn a_device_that_is_down_for_good_is_lost_for_its_leases_and_told_so() {
    let (_place, folder) = folder();
    let held = keep(&folder, 2, HOUR);
    let (driver, _runner) = Driver::of(&held);
    *driver.failure.lock().unwrap() = Some(InferenceError::DeviceLost("it ended 6 times".to_owned()));
    wait_for("the leases know", || lease(&held, 0).state() == LeaseState::DeviceLost);
    assert!(matches!(lease(&held, 1).enter(), Err(InferenceError::DeviceLost(_))));
    driver.locks.lock().unwrap().clear();
    wait_for("it is free", || used(&folder) == 0);
    wait_for("it is told", || states(&folder).iter().all(|(_, state)| *state == ShareState::DeviceLost));
    // The process is ended on a thread of its own, and the checks above do not wait for that thread.
    wait_for("its process is ended", || driver.told() == ["close"]);
    assert_eq!(states(&folder).len(), 2);
}

#[test]
fn a_run_that_does_not_end_keeps_its_share_beyond_the_end_of_the_leases_holder() {
    let (_place, folder) = folder();
    let held = keep(&folder, 2, HOUR);
    let run = lease(&held, 0).enter().unwrap();
    drop(held);
    wait_for("the idle one is free", || used(&folder) == 5_000);
    assert_eq!(run.still_good(), Err(InferenceError::LeaseLost(LeaseEnd::Revoked)));
    drop(run);
    wait_for("both are free", || used(&folder) == 0);
    wait_for("and the claim is gone", || folder.taken().unwrap().claims.is_empty());
}

#[test]
fn a_process_that_was_stopped_finds_its_leases_expired_before_it_starts_anything() {
    let (_place, folder) = folder();
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "held_devices_tests::the_other_process", "--ignored", "--nocapture"])
        .env(LeaseFolder::VARIABLE, folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut answers = BufReader::new(child.stdout.take().unwrap());
    assert_eq!(answer(&mut answers), "holds");
    assert_eq!(used(&folder), 5_000);
    let pid = Pid::from_child(&child);
    kill_process(pid, Signal::STOP).unwrap();
    wait_for("others may have its share", || used(&folder) == 0);
    let next = keep(&folder, 2, HOUR);
    assert_eq!(used(&folder), 10_000);
    // The stopped child handles this request first when it continues.
    ask(&mut child);
    kill_process(pid, Signal::CONT).unwrap();
    assert_eq!(answer(&mut answers), "the lease on the device expired");
    ask(&mut child);
    assert_eq!(answer(&mut answers), "the lease on the device expired");
    assert_eq!(used(&folder), 10_000, "it does not count again");
    drop(next);
    drop(child.stdin.take());
    child.wait().unwrap();
}

fn ask(child: &mut Child) {
    writeln!(child.stdin.as_mut().unwrap(), "enter").unwrap();
}

fn answer(answers: &mut BufReader<ChildStdout>) -> String {
    loop {
        let mut line = String::new();
        assert!(answers.read_line(&mut line).unwrap() > 0, "the other process ended");
        if let Some((_, answer)) = line.split_once("answer: ") {
            return answer.trim().to_owned();
        }
    }
}

#[test]
#[ignore = "not a test of its own: the process that a test beside it starts"]
fn the_other_process() {
    let folder = LeaseFolder::open().unwrap();
    // The TTL is long enough for renewals on a crowded machine, as the first answer confirms.
    let held = keep(&folder, 1, Duration::from_secs(2));
    println!("answer: holds");
    for _ in std::io::stdin().lines() {
        match lease(&held, 0).enter() {
            Ok(_) => println!("answer: entered"),
            Err(error) => println!("answer: {error}"),
        }
    }
}
