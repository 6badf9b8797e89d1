use std::fs;
use std::time::{Duration, Instant};

use sage_jobs::{JobIsolation, JobState};
use sage_tests::{has_control, workers_of};

use super::scene::{Scene, bounded, endless};

/// Time for which an idle job is watched.
const WATCHED: Duration = Duration::from_secs(5);

/// How often all threads of these processes have gone to sleep, which is how often they were woken.
fn wake_ups(processes: &[u32]) -> u64 {
    let of_thread = |status: String| -> u64 {
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")).unwrap_or("0");
        line.trim().parse().unwrap()
    };
    let threads = processes.iter().flat_map(|process| fs::read_dir(format!("/proc/{process}/task")).unwrap());
    threads.filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("status")).ok()).map(of_thread).sum()
}

fn idle_wake_ups(isolation: JobIsolation, pipeline: &str, fifo: bool) -> f64 {
    let mut scene = Scene::new(pipeline);
    scene.isolation = isolation;
    let pipe = scene.path("data").join("in.txt");
    if fifo {
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    }
    let mut job = scene.start();
    job.until_it_is(JobState::Running);
    let processes: Vec<u32> = std::iter::once(job.id()).chain(workers_of(job.id())).collect();
    assert_eq!(processes.len(), if isolation == JobIsolation::Process { 2 } else { 1 });
    // A thread that ticks for a while after its last work must have come to rest.
    let mut last = wake_ups(&processes);
    job.until("rest", |_| {
        std::thread::sleep(Duration::from_millis(500));
        let now = wake_ups(&processes);
        (now - std::mem::replace(&mut last, now) <= 10).then_some(())
    });
    let (began, before) = (Instant::now(), wake_ups(&processes));
    std::thread::sleep(WATCHED);
    (wake_ups(&processes) - before) as f64 / began.elapsed().as_secs_f64()
}

/// A wake-up costs 5 to 20 µs of CPU time, so 10 of them are 0.1 to 0.2 ms. Before, they were 19 to 70.
#[test]
fn an_idle_job_is_woken_a_few_times_a_second() {
    let slow = endless(1, "discard = {}");
    for isolation in [JobIsolation::Thread, JobIsolation::Process] {
        if isolation == JobIsolation::Process && !has_control(|controls| controls.memory.available) {
            continue;
        }
        let woken = idle_wake_ups(isolation, &bounded("map_logs"), true);
        assert!(woken <= 7.0, "{isolation:?} with a pipe: {woken} times a second");
        let woken = idle_wake_ups(isolation, &slow, false);
        assert!(woken <= 25.0, "{isolation:?} with a record each second: {woken} times a second");
    }
}
