//! The threads of a device, with runners that the test blocks and releases.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use super::doubling_runner::{Doubling, later, lease, spec, tensor};
use super::{Batching, DeviceCpus, DeviceQueue};
use crate::{InferenceError, Lease, LeaseEnd, ModelFacts, RowIndependence, RunAnswer, Runner, Tensor, TensorData};
use sage_machine::CpuSet;
use sage_observe::{DeviceReading, InferenceCounters};
use sage_plan::ModelSpec;

/// A device with a model `m`, and its runner.
struct Bench {
    runner: Arc<Doubling>,
    queue: DeviceQueue,
    counters: Arc<InferenceCounters>,
}

impl Bench {
    fn new(slots: usize) -> Self {
        let runner = Arc::new(Doubling { slots, ..Doubling::default() });
        let queue =
            DeviceQueue::start("cpu0", Arc::clone(&runner) as _, &DeviceCpus::Own(CpuSet::allowed().unwrap()), None)
                .unwrap();
        queue.load(&spec("m"), later()).unwrap();
        Self { runner, queue, counters: Arc::new(InferenceCounters::new(vec!["cpu0".to_owned()])) }
    }

    fn run(&self, lease: &Arc<Lease>, rows: &[i32], until: Instant) -> Result<Vec<i32>, InferenceError> {
        let outputs = self.queue.run(lease, "m", vec![tensor(rows.to_vec())], until, &self.counters)?;
        let TensorData::I32(doubled) = outputs[0].data() else { panic!("another type") };
        Ok(doubled.clone())
    }

    /// Waits until this number of calls is waiting.
    fn wait_for_waiting(&self, calls: u64) {
        while self.queue.read().waiting != calls {
            thread::yield_now();
        }
    }

    /// Submits these calls while the device is busy, so that all are waiting when it becomes free. Each call
    /// has a lease of its own.
    fn together(&self, calls: &[&[i32]]) -> Vec<Result<Vec<i32>, InferenceError>> {
        self.runner.gate.shut();
        thread::scope(|scope| {
            let busy = scope.spawn(|| self.run(&lease(1000), &[0], later()));
            self.runner.gate.wait_for(1);
            let mut running = Vec::new();
            for (n, rows) in calls.iter().enumerate() {
                running.push(scope.spawn(move || self.run(&lease(n as u64), rows, later())));
                self.wait_for_waiting(n as u64 + 1);
            }
            self.runner.gate.open();
            busy.join().unwrap().unwrap();
            running.into_iter().map(|call| call.join().unwrap()).collect()
        })
    }
}

#[test]
fn calls_that_wait_run_together_and_each_gets_its_own_rows() {
    let bench = Bench::new(1);
    let answers = bench.together(&[&[1], &[2, 3], &[4], &[5, 6]]);
    let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers, [vec![2], vec![4, 6], vec![8], vec![10, 12]]);
    let runs = bench.runner.runs.lock().unwrap().clone();
    assert_eq!(runs, [vec![0], vec![1, 2, 3, 4], vec![5, 6]]);

    let model = &bench.queue.read().models[0].1;
    assert_eq!((model.calls.get(), model.rows.get(), model.runs.get()), (5, 7, 3));
    let instance = &bench.counters;
    assert_eq!((instance.calls.get(), instance.rows.get(), instance.bytes_in.get()), (5, 7, 28));
    assert_eq!(instance.bytes_out.get(), 28);
    // 110, 140 and 120 µs. Half of it is CPU time.
    assert_eq!(instance.device_nanoseconds.get(), 370_000);
    assert_eq!(instance.cpu_nanoseconds.get(), 185_000);
    assert!(instance.errors.get().is_empty());
}

#[test]
fn a_call_of_more_rows_than_a_run_may_have_is_cut_and_put_together_again() {
    for slots in [1, 3] {
        let bench = Bench::new(slots);
        let rows: Vec<i32> = (0..11).map(|row| row + 100).collect();
        let doubled: Vec<i32> = rows.iter().map(|row| row * 2).collect();
        assert_eq!(bench.run(&lease(1), &rows, later()).unwrap(), doubled);
        let mut runs = bench.runner.runs.lock().unwrap().clone();
        runs.sort();
        assert_eq!(runs, [rows[..4].to_vec(), rows[4..8].to_vec(), rows[8..].to_vec()]);
    }
}

#[test]
fn a_call_has_waited_when_its_first_rows_run_however_often_it_is_cut_or_runs_again() {
    let bench = Bench::new(1);
    let rows: Vec<i32> = (0..11).collect();
    let answers = bench.together(&[&rows, &[13], &[14]]);
    assert_eq!(answers.iter().filter(|answer| answer.is_err()).count(), 1);
    let model = &bench.queue.read().models[0].1;
    assert!(model.calls.get() > 4, "parts, and calls that ran once more");
    assert_eq!(model.wait.count(), 4);
    assert_eq!(model.wait_nanoseconds.get(), bench.counters.wait_nanoseconds.get());
}

#[test]
fn a_model_without_rows_runs_each_call_as_it_is() {
    let bench = Bench::new(1);
    bench.queue.load(&spec("whole"), later()).unwrap();
    assert_eq!(bench.queue.batching("whole"), Some(Batching::Whole));
    let rows: Vec<i32> = (0..11).collect();
    bench.queue.run(&lease(1), "whole", vec![tensor(rows.clone())], later(), &bench.counters).unwrap();
    assert_eq!(*bench.runner.runs.lock().unwrap(), [rows]);
}

#[test]
fn rows_that_only_the_graph_shows_are_tried_before_the_first_call_is_cut() {
    let bench = Bench::new(1);
    let run = |model: &str, rows: std::ops::Range<i32>| {
        bench.queue.run(&lease(1), model, vec![tensor(rows.collect())], later(), &bench.counters)
    };
    for model in ["graph", "wrong"] {
        bench.queue.load(&ModelSpec { batching: Some(false), ..spec(model) }, later()).unwrap();
        run(model, 100..104).unwrap();
        assert_eq!(bench.queue.rows(model), Some(RowIndependence::ByGraph));
    }
    assert_eq!(*bench.runner.runs.lock().unwrap(), [[100, 101, 102, 103]; 2], "loading ran nothing");
    assert_eq!(bench.counters.rows.get(), 8, "what is not cut has its rows");
    for _ in 0..2 {
        let doubled = (100..111).map(|row| row * 2).collect();
        assert_eq!(run("graph", 100..111), Ok(vec![tensor(doubled)]));
        assert_eq!(bench.queue.rows("graph"), Some(RowIndependence::Shown { rows: 4 }));
        let error = run("wrong", 100..111).unwrap_err();
        assert!(matches!(error, InferenceError::TooLarge { size: 11, limit: 4, .. }), "{error}");
        assert!(matches!(bench.queue.rows("wrong"), Some(RowIndependence::NotShown(_))));
    }
}

#[test]
fn one_tenants_bad_rows_fail_alone() {
    let bench = Bench::new(1);
    let answers = bench.together(&[&[1], &[13], &[3]]);
    assert_eq!(answers[0], Ok(vec![2]));
    assert_eq!(answers[1], Err(InferenceError::Backend("a bad row".to_owned())));
    assert_eq!(answers[2], Ok(vec![6]));
    let runs = bench.runner.runs.lock().unwrap().clone();
    assert_eq!(runs.len(), 5, "one together, three alone: {runs:?}");
    // A lease that failed in isolation too is excluded from the batches of others from then on.
    let answers = bench.together(&[&[1], &[2], &[3]]);
    assert!(answers.iter().all(Result::is_ok));
    let runs = bench.runner.runs.lock().unwrap().split_off(6);
    assert_eq!(runs, [vec![1, 3], vec![2]]);
    assert_eq!(bench.counters.errors.get(), [("backend", 1)].into());
}

#[test]
fn a_runner_that_panics_has_failed_and_its_thread_lives_on() {
    let bench = Bench::new(1);
    for _ in 0..3 {
        let error = bench.run(&lease(1), &[66], later()).unwrap_err();
        assert_eq!(error, InferenceError::Backend("it panicked: a row of 66".to_owned()));
    }
    let error = bench.queue.load(&spec("broken"), later()).unwrap_err();
    assert_eq!(error, InferenceError::Backend("it panicked: no such operator".to_owned()));
    assert_eq!(bench.run(&lease(1), &[1], later()), Ok(vec![2]));
}

#[test]
fn a_lost_device_is_the_fault_of_who_loses_it_again_alone() {
    let bench = Bench::new(1);
    let answers = bench.together(&[&[1], &[99]]);
    let lost = InferenceError::DeviceLost("it fell off the bus".to_owned());
    assert_eq!(answers, [Ok(vec![2]), Err(lost.clone())]);
    assert_eq!(bench.runner.runs.lock().unwrap().len(), 4, "one before, one together, two apart");
    assert_eq!(bench.run(&lease(2), &[99], later()), Err(lost), "what ran with nothing beside it is not tried again");
    assert_eq!(bench.runner.runs.lock().unwrap().len(), 5);
    assert_eq!(bench.run(&lease(1), &[1], later()), Ok(vec![2]), "it may be back");
}

#[test]
fn who_has_no_patience_leaves_at_its_deadline_and_leaves_nothing_behind() {
    let bench = Bench::new(1);
    bench.runner.gate.shut();
    let soon = || Instant::now() + Duration::from_millis(30);
    let running = lease(1);
    // Repeats until a run has begun, because a busy machine may take longer than one timeout.
    let mut calls = 0;
    while bench.runner.gate.held() == 0 {
        calls += 1;
        assert_eq!(bench.run(&running, &[1], soon()), Err(InferenceError::Deadline));
    }
    assert!(!running.wait_idle(Instant::now()), "its run is not over, and the device works for it");
    let waiting = lease(2);
    assert_eq!(bench.run(&waiting, &[2], soon()), Err(InferenceError::Deadline));
    assert!(waiting.wait_idle(later()));
    assert_eq!(bench.queue.read().waiting, 0);
    bench.runner.gate.open();
    assert!(running.wait_idle(later()));
    assert_eq!(bench.run(&running, &[3], later()), Ok(vec![6]));
    assert_eq!(*bench.runner.runs.lock().unwrap(), [vec![1], vec![3]], "what was given up did not run");
    assert_eq!(bench.counters.errors.get(), [("deadline", calls + 1)].into());
}

#[test]
fn a_revoked_lease_finishes_what_runs_and_starts_nothing() {
    let bench = Bench::new(1);
    bench.runner.gate.shut();
    let revoked = lease(1);
    let (ran, waited) = thread::scope(|scope| {
        let running = scope.spawn(|| bench.run(&revoked, &[1], later()));
        bench.runner.gate.wait_for(1);
        let waiting = scope.spawn(|| bench.run(&revoked, &[2], later()));
        bench.wait_for_waiting(1);
        revoked.revoke(Duration::from_secs(600));
        // The waiting call gets its error while the device is still busy.
        let waited = waiting.join().unwrap();
        bench.runner.gate.open();
        (running.join().unwrap(), waited)
    });
    assert_eq!(ran, Ok(vec![2]), "within its grace");
    assert_eq!(waited, Err(InferenceError::LeaseLost(LeaseEnd::Draining)));
    // The device's thread drops a call just after it has delivered the result.
    assert!(revoked.wait_idle(later()));
    assert_eq!(bench.run(&revoked, &[3], later()), Err(InferenceError::LeaseLost(LeaseEnd::Revoked)));
    assert_eq!(*bench.runner.runs.lock().unwrap(), [vec![1]]);
}

#[test]
fn an_answer_that_comes_after_its_lease_ended_is_dropped_and_the_guest_is_told_at_once() {
    type End = fn(&Lease);
    let cases: [(End, LeaseEnd); 2] =
        [(|lease| lease.revoke(Duration::ZERO), LeaseEnd::Revoked), (Lease::expire, LeaseEnd::Expired)];
    for (end, told) in cases {
        let bench = Bench::new(1);
        bench.runner.gate.shut();
        let ended = lease(1);
        thread::scope(|scope| {
            let running = scope.spawn(|| bench.run(&ended, &[1], later()));
            bench.runner.gate.wait_for(1);
            end(&ended);
            assert_eq!(running.join().unwrap(), Err(InferenceError::LeaseLost(told)));
        });
        assert!(!ended.wait_idle(Instant::now()), "the device is not free before the run is over");
        bench.runner.gate.open();
        assert!(ended.wait_idle(later()));
    }
}

#[test]
fn what_is_not_there_or_makes_no_sense_is_an_error() {
    let bench = Bench::new(1);
    let unknown = bench.queue.run(&lease(1), "n", vec![tensor(vec![1])], later(), &bench.counters);
    assert_eq!(unknown, Err(InferenceError::UnknownModel("n".to_owned())));
    assert!(matches!(bench.run(&lease(1), &[], later()), Err(InferenceError::BadInput { .. })));
    let many = bench.run(&lease(1), &vec![0; DeviceQueue::MOST_ROWS + 1], later()).unwrap_err();
    assert_eq!(many.to_string(), "rows are 262145, at most 262144 may be");
    let released = lease(1);
    released.release();
    assert!(matches!(bench.run(&released, &[1], later()), Err(InferenceError::LeaseLost(_))));
    let other = ModelSpec { path: "other.onnx".into(), ..spec("m") };
    assert!(matches!(bench.queue.load(&other, later()), Err(InferenceError::Unsupported(_))));
    assert!(bench.queue.load(&spec("m"), Instant::now()).is_ok(), "it is there already");
}

#[test]
fn a_model_is_measured_when_it_is_loaded_and_nothing_is_declared() {
    let bench = Bench::new(2);
    let measured = ModelSpec { batching: None, max_rows: 32, ..spec("measured") };
    bench.queue.load(&measured, later()).unwrap();
    let batching = bench.queue.batching("measured").unwrap();
    // 110 µs for one row, 180 µs for eight.
    assert_eq!(batching.to_string(), "on: 44444 rows/s with 8 together, 9091 one at a time");
    assert!(batching.is_on());
    let numbers = bench.queue.read();
    let (_, model) = numbers.models.iter().find(|(name, _)| name == "measured").unwrap();
    assert_eq!(model.runs.get(), 0, "measuring is nobody's run");
}

#[test]
fn a_cut_tells_everybody_who_waits_also_for_what_runs() {
    let bench = Bench::new(1);
    bench.runner.gate.shut();
    let cut = InferenceError::DeviceLost("the run of its pipeline was cut".to_owned());
    let running = lease(1);
    thread::scope(|scope| {
        let ran = scope.spawn(|| bench.run(&running, &[1], later()));
        bench.runner.gate.wait_for(1);
        let waited = scope.spawn(|| bench.run(&lease(2), &[2], later()));
        bench.wait_for_waiting(1);
        bench.queue.cut();
        for call in [ran, waited] {
            assert_eq!(call.join().unwrap(), Err(cut.clone()));
        }
    });
    assert_eq!(bench.run(&lease(3), &[3], later()), Err(cut));
    assert!(!running.wait_idle(Instant::now()), "the device is not free before the run is over");
    assert!(!bench.queue.close(Instant::now()));
    bench.runner.gate.open();
    assert!(bench.queue.close(later()));
    assert_eq!(*bench.runner.runs.lock().unwrap(), [vec![1]]);
}

#[test]
fn closing_tells_who_waits_and_ends_the_threads() {
    let bench = Bench::new(2);
    bench.runner.gate.shut();
    thread::scope(|scope| {
        // The calls are submitted one after the other, because otherwise they would run together.
        let first = scope.spawn(|| bench.run(&lease(1), &[1], later()));
        bench.runner.gate.wait_for(1);
        let second = scope.spawn(|| bench.run(&lease(2), &[1], later()));
        bench.runner.gate.wait_for(2);
        let waiting = scope.spawn(|| bench.run(&lease(7), &[2], later()));
        bench.wait_for_waiting(1);
        let loading = scope.spawn(|| bench.queue.load(&spec("late"), later()));
        assert!(!bench.queue.close(Instant::now()), "what runs cannot be interrupted");
        let closed = InferenceError::DeviceLost("cpu0 was closed".to_owned());
        assert_eq!(waiting.join().unwrap(), Err(closed.clone()));
        assert_eq!(loading.join().unwrap().unwrap_err(), closed);
        assert_eq!(bench.run(&lease(8), &[3], later()), Err(closed));
        bench.runner.gate.open();
        for running in [first, second] {
            assert_eq!(running.join().unwrap(), Ok(vec![2]));
        }
    });
    assert!(bench.queue.close(later()));
    assert_eq!(bench.runner.closed.load(Ordering::Relaxed), 1);
}

#[test]
fn leases_are_counted_by_how_they_stand_and_how_they_ended() {
    let bench = Bench::new(1);
    let leases: Vec<_> = (0..4).map(lease).collect();
    for lease in &leases {
        bench.queue.watch(lease);
    }
    leases[0].expire();
    leases[1].revoke(Duration::ZERO);
    let entered = leases[2].enter().unwrap();
    leases[2].revoke(Duration::from_secs(600));
    for _ in 0..2 {
        let numbers = bench.queue.read();
        assert_eq!(numbers.leases, [("draining", 1), ("held", 1)].into());
        assert_eq!(numbers.ended, [("expired", 1), ("revoked", 1)].into());
        assert_eq!(numbers.memory_used, Some(10));
    }
    drop(entered);
    assert_eq!(bench.queue.read().ended, [("expired", 1), ("revoked", 2)].into());
}

#[test]
fn a_device_runs_on_its_own_cpus_and_one_that_cannot_does_not_start() {
    let allowed = CpuSet::allowed().unwrap();
    let first: CpuSet = allowed.iter().take(1).collect();
    let start = |cpus| DeviceQueue::start("cpu0", Arc::new(Where::default()), &DeviceCpus::Own(cpus), None);
    let queue = start(first.clone()).unwrap();
    queue.load(&spec("m"), later()).unwrap();
    let counters = Arc::new(InferenceCounters::new(Vec::new()));
    let answer = queue.run(&lease(1), "m", vec![tensor(vec![1])], later(), &counters).unwrap();
    let cpu = i32::try_from(first.iter().next().unwrap()).unwrap();
    assert_eq!(answer, [tensor(vec![cpu])]);
    let error = start([1023].into_iter().collect()).unwrap_err();
    assert_eq!(error.to_string(), "the device is lost: a thread for cpu0: cannot bind a thread to CPUs 1023");
}

/// A runner that returns the CPU on which it ran.
#[derive(Debug, Default)]
struct Where(Doubling);

impl Runner for Where {
    fn slots(&self) -> usize {
        1
    }

    fn load(&self, model: &ModelSpec, until: Instant) -> Result<ModelFacts, InferenceError> {
        self.0.load(model, until)
    }

    fn run(&self, _model: &str, _inputs: Vec<Tensor>, _until: Instant) -> Result<RunAnswer, InferenceError> {
        let cpu = i32::try_from(rustix::thread::sched_getcpu()).unwrap();
        Ok(RunAnswer { outputs: vec![tensor(vec![cpu])], wall: Duration::ZERO, cpu: Duration::ZERO })
    }

    fn memory_used(&self) -> Option<u64> {
        None
    }

    fn close(&self) {}
}
