//! Fake models on a real queue with its threads. The tests use the device time that the queue counted, so
//! other load on the machine does not matter.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::doubling_runner::{later, lease, spec};
use super::{DeviceCpus, DeviceQueue};
use crate::{Fake, ModelFile, Runner, Tensor, TensorData, ThreadRunner, ThreadSettings};
use sage_machine::CpuSet;
use sage_observe::{DeviceReading, InferenceCounters};
use sage_plan::ModelSpec;
use sage_plan::config::BackendChoice;
use sage_test_support::wait_until;

fn device(memory: Option<u64>) -> (Arc<ThreadRunner>, DeviceQueue) {
    let settings = ThreadSettings { slots: 1, threads: 1, memory };
    let runner = Arc::new(ThreadRunner::new(settings, vec![Box::new(Fake::here())]));
    let cpus = DeviceCpus::Own(CpuSet::allowed().unwrap());
    let queue = DeviceQueue::start("fake0", Arc::clone(&runner) as _, &cpus, None).unwrap();
    (runner, queue)
}

fn model(folder: &Path, name: &str, told: &str) -> ModelSpec {
    let path = folder.join(format!("{name}.model"));
    std::fs::write(&path, format!("input = \"u8[rows, 4]\"\n{told}")).unwrap();
    let sha256 = Some(ModelFile::read(&path, ModelFile::MOST_BYTES).unwrap().sha256());
    ModelSpec { path, backend: BackendChoice::Fake, batching: Some(false), sha256, workspace: 1 << 20, ..spec(name) }
}

fn input() -> Vec<Tensor> {
    vec![Tensor::new(vec![1, 4], TensorData::U8(vec![1; 4])).unwrap()]
}

/// Nanoseconds of counted device time for two leases with the same share. The callers of both leases always
/// have calls waiting.
fn device_time(good: &str, bad: &str) -> [u64; 2] {
    const ENOUGH: u64 = 1_000_000_000;
    let folder = tempfile::tempdir().unwrap();
    let (_runner, queue) = device(None);
    let names = ["good", "bad"];
    for (name, told) in names.iter().zip([good, bad]) {
        queue.load(&model(folder.path(), name, told), later()).unwrap();
    }
    let counters = names.map(|_| Arc::new(InferenceCounters::new(Vec::new())));
    let used = || counters.each_ref().map(|counters| counters.device_nanoseconds.get());
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for (token, (name, counters)) in (1..).zip(names.iter().zip(&counters)) {
            let lease = lease(token);
            for _ in 0..4 {
                let (lease, queue, over) = (Arc::clone(&lease), &queue, &over);
                scope.spawn(move || {
                    while !over.load(Ordering::Relaxed) {
                        let answer = queue.run(&lease, name, input(), later(), counters);
                        assert_eq!(answer.is_ok(), *name == "good", "{answer:?}");
                    }
                });
            }
        }
        wait_until("enough device time is used", || (used().iter().sum::<u64>() >= ENOUGH).then_some(()));
        let used = used();
        over.store(true, Ordering::Relaxed);
        used
    })
}

#[test]
fn calls_that_fail_pay_for_the_device_time_that_they_take() {
    for bad in ["fail_after = 0", "panic_after = 0", "out_of_memory_over_rows = 0"] {
        let [good, bad_used] = device_time("latency_per_run = \"2ms\"", &format!("latency_per_run = \"10ms\"\n{bad}"));
        let ratio = good as f64 / bad_used as f64;
        assert!((0.9..=1.1).contains(&ratio), "{bad}: {good} ns for the good, {bad_used} for those that fail");
    }
}

#[test]
fn one_file_under_two_names_is_loaded_once() {
    let folder = tempfile::tempdir().unwrap();
    let told = "memory = \"1MiB\"";
    let (runner, queue) = device(Some(1 << 20));
    let first = model(folder.path(), "first", told);
    let second = ModelSpec { max_rows: 1, ..model(folder.path(), "second", told) };
    assert!(first.is_same_file(&second) && !first.is_same_model(&second));
    assert!(first.is_same_model(&ModelSpec { name: "other".to_owned(), path: "other".into(), ..first.clone() }));
    let models = [first.clone(), second.clone()];
    let file = second.first_alike(&models, ModelSpec::is_same_file);
    queue.load(&first, later()).unwrap();
    queue.load_file(&second, &file.name, later()).unwrap();
    assert_eq!(runner.memory_used(), Some(1 << 20));
    let counters = Arc::new(InferenceCounters::new(Vec::new()));
    for name in ["first", "second"] {
        assert_eq!(queue.run(&lease(1), name, input(), later(), &counters).unwrap(), input());
    }
    assert_eq!(queue.read().models.len(), 2, "their settings differ");
}
