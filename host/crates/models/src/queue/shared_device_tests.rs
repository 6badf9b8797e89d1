//! Queues of two runs in front of one device, with an observer that reads the shared table.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::doubling_runner::{Doubling, later, lease, spec, tensor};
use super::{Batching, DeviceCpus, DeviceQueue, Turns};
use crate::InferenceError;
use sage_machine::{CpuSet, LeaseFolder, TurnEntry, TurnTable};
use sage_observe::{DeviceReading, InferenceCounters};
use sage_plan::ModelSpec;

struct Shared {
    _place: tempfile::TempDir,
    seen: TurnTable,
    first: Run,
    second: Run,
}

/// Opens the gate on drop, also if the test fails.
struct OpenAfter<'a>(&'a Doubling);

impl Drop for OpenAfter<'_> {
    fn drop(&mut self) {
        self.0.gate.open();
    }
}

/// The queue and the runner of one run.
struct Run {
    token: u64,
    runner: Arc<Doubling>,
    queue: DeviceQueue,
}

impl Shared {
    fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        let folder = LeaseFolder::at(&place.path().join("leases")).unwrap();
        let seen = folder.join_turns("cpu0", 1).unwrap();
        let [first, second] = [2, 3].map(|token| {
            let runner = Arc::new(Doubling::default());
            let turns = Turns::join(&folder, "cpu0", 1, vec![lease(token)]).unwrap();
            let cpus = DeviceCpus::Own(CpuSet::allowed().unwrap());
            let queue = DeviceQueue::start("cpu0", Arc::clone(&runner) as _, &cpus, Some(turns)).unwrap();
            queue.load(&spec("m"), later()).unwrap();
            Run { token, runner, queue }
        });
        Self { _place: place, seen, first, second }
    }

    /// Waits until the entry of the second run satisfies the condition.
    fn until(&self, is_so: impl Fn(&TurnEntry) -> bool) {
        let second = |entries: Vec<(usize, TurnEntry)>| entries.into_iter().find(|(place, _)| *place == 2);
        while !second(self.seen.others()).is_some_and(|(_, entry)| is_so(&entry)) {
            thread::yield_now();
        }
    }

    /// Executes an action while a call of the first run is in flight. The call ends after the action.
    fn while_the_first_runs<R>(&self, act: impl FnOnce() -> R) -> R {
        self.first.runner.gate.shut();
        thread::scope(|scope| {
            let call = scope.spawn(|| self.first.call(later()));
            self.first.runner.gate.wait_for(1);
            let open = OpenAfter(&self.first.runner);
            let acted = act();
            drop(open);
            call.join().unwrap().unwrap();
            acted
        })
    }
}

impl Run {
    fn call(&self, until: Instant) -> Result<(), InferenceError> {
        let counters = Arc::new(InferenceCounters::new(vec!["cpu0".to_owned()]));
        self.queue.run(&lease(self.token), "m", vec![tensor(vec![1])], until, &counters).map(drop)
    }

    fn runs(&self) -> usize {
        self.runner.runs.lock().unwrap().len()
    }
}

fn waits(entry: &TurnEntry) -> bool {
    (entry.waiting, entry.running) == (1, 0)
}

fn is_idle(entry: &TurnEntry) -> bool {
    (entry.waiting, entry.running) == (0, 0)
}

#[test]
fn a_call_waits_until_what_another_run_has_under_way_is_over() {
    let shared = Shared::new();
    thread::scope(|scope| {
        let call = shared.while_the_first_runs(|| {
            let call = scope.spawn(|| shared.second.call(later()));
            shared.until(waits);
            assert_eq!(shared.second.runs(), 0);
            call
        });
        call.join().unwrap().unwrap();
    });
    assert_eq!((shared.first.runs(), shared.second.runs()), (1, 1));
    assert!(shared.second.queue.read().turn_wait_nanoseconds > Some(0));
    shared.until(is_idle);
}

#[test]
fn who_waits_for_a_turn_leaves_at_its_deadline_and_does_not_wait_any_more() {
    let shared = Shared::new();
    shared.while_the_first_runs(|| {
        assert_eq!(shared.second.call(Instant::now() + Duration::from_millis(50)), Err(InferenceError::Deadline));
        shared.until(is_idle);
    });
    assert_eq!(shared.second.runs(), 0);
}

#[test]
fn a_queue_that_waits_for_a_turn_can_be_cut_and_closed() {
    let shared = Shared::new();
    thread::scope(|scope| {
        shared.while_the_first_runs(|| {
            let call = scope.spawn(|| shared.second.call(later()));
            shared.until(waits);
            shared.second.queue.cut();
            assert!(matches!(call.join().unwrap(), Err(InferenceError::DeviceLost(_))));
            shared.until(is_idle);
        });
    });
    let shared = Shared::new();
    thread::scope(|scope| {
        shared.while_the_first_runs(|| {
            let call = scope.spawn(|| shared.second.call(later()));
            shared.until(waits);
            assert!(shared.second.queue.close(later()), "its threads end");
            assert!(matches!(call.join().unwrap(), Err(InferenceError::DeviceLost(_))));
        });
    });
}

#[test]
fn a_model_is_measured_in_turns_too() {
    let shared = Shared::new();
    let measured = ModelSpec { batching: None, ..spec("measured") };
    thread::scope(|scope| {
        let load = shared.while_the_first_runs(|| {
            let load = scope.spawn(|| shared.second.queue.load(&measured, later()));
            shared.until(waits);
            assert_eq!(shared.second.runs(), 0);
            load
        });
        load.join().unwrap().unwrap();
    });
    assert!(matches!(shared.second.queue.batching("measured"), Some(Batching::Measured { .. })));
}

#[test]
fn calls_that_come_while_a_turn_is_waited_for_run_together_in_it() {
    let shared = Shared::new();
    thread::scope(|scope| {
        let calls = shared.while_the_first_runs(|| {
            let calls: Vec<_> = (0..3).map(|_| scope.spawn(|| shared.second.call(later()))).collect();
            while shared.second.queue.read().waiting != 3 {
                thread::yield_now();
            }
            calls
        });
        calls.into_iter().for_each(|call| call.join().unwrap().unwrap());
    });
    assert_eq!(shared.second.runs(), 1);
}
