use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use sage_observe::Registry;
use sage_plan::config::Generate;
use sage_runtime::engine::{PipelineBuilder, SinkOf, SourceOf};

use crate::clock::cpu_time_of;
use crate::figure::{Effort, Figure, Problem, Target};
use crate::place::Place;

/// Worker processes: the time until they are ready, the time until a new one works after a kill, and the cost
/// of an idle one.
pub(crate) fn workers(place: &Place, effort: Effort) -> Result<Vec<Figure>, Problem> {
    let generate = Generate { rate: Some(20_000.into()), payload_bytes: Some(128.into()), ..Generate::default() };
    let map = place.operator("identity")?;
    let mut starts = Vec::new();
    for _ in 0..effort.pick(15, 5) {
        let generate = Generate { count: Some(10.into()), ..generate.clone() };
        let summary = pipeline(&map, generate).build(place.process_options()?)?.start()?.wait();
        let start = summary.stage("map").and_then(|stage| stage.worker_start_seconds);
        starts.push(start.ok_or("no worker was started")? * 1e3);
    }
    let mut replaced = Vec::new();
    let job = pipeline(&map, generate.clone()).build(place.process_options()?)?;
    let stop = job.stop_handle();
    let session = job.start()?;
    let registry = session.registry();
    for _ in 0..effort.pick(15, 5) {
        let (seen, lost) = (handled(&registry), lost(&registry));
        until(|| handled(&registry) > seen)?;
        let worker = the_worker().ok_or("there is no worker to kill")?;
        let begun = Instant::now();
        kill_process(Pid::from_raw(worker).ok_or("no process")?, Signal::KILL)?;
        until(|| self::lost(&registry) > lost)?;
        let seen = handled(&registry);
        until(|| handled(&registry) > seen)?;
        replaced.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    stop.drain();
    drop(session.wait());
    let idle = idle(place, &map, effort)?;
    Ok(vec![
        Figure::of("start of a worker to its guest's being ready", "ms", starts).target(Target::AtMost(25.0)),
        Figure::of("kill of a worker to the next records from another", "ms", replaced).target(Target::AtMost(50.0)),
        Figure::of("CPU of a worker that gets a record a second", "%", idle).target(Target::AtMost(0.1)),
    ])
}

fn pipeline(map: &std::path::Path, generate: Generate) -> PipelineBuilder {
    PipelineBuilder::new("workers")
        .from_source("source", SourceOf::generate(generate))
        .map("map", map)
        .sink("sink", SinkOf::discard())
}

/// CPU use of a worker that gets one record in a second, in percent of a CPU.
fn idle(place: &Place, map: &std::path::Path, effort: Effort) -> Result<Vec<f64>, Problem> {
    let generate = Generate { rate: Some(1.into()), payload_bytes: Some(128.into()), ..Generate::default() };
    let job = pipeline(map, generate).build(place.process_options()?)?;
    let stop = job.stop_handle();
    let session = job.start()?;
    let worker = the_worker().ok_or("there is no worker")?;
    std::thread::sleep(Duration::from_millis(500));
    let mut rounds = Vec::new();
    for _ in 0..effort.pick(3, 1) {
        let (from, before) = (Instant::now(), cpu_time_of(worker));
        std::thread::sleep(Duration::from_secs(2));
        rounds.push((cpu_time_of(worker) - before).as_secs_f64() / from.elapsed().as_secs_f64() * 100.0);
    }
    stop.drain();
    drop(session.wait());
    Ok(rounds)
}

fn handled(registry: &Registry) -> u64 {
    registry.stages.last().map_or(0, |sink| sink.instances.iter().map(|instance| instance.counters.handled.get()).sum())
}

fn lost(registry: &Registry) -> u64 {
    let instances = registry.stages.iter().flat_map(|stage| &stage.instances);
    instances.map(|instance| instance.counters.workers_lost.get()).sum()
}

fn until(mut done: impl FnMut() -> bool) -> Result<(), Problem> {
    let begun = Instant::now();
    while !done() {
        if begun.elapsed() > Duration::from_secs(20) {
            return Err("nothing happened for 20 seconds".into());
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    Ok(())
}

/// Process id of the only worker of this process.
fn the_worker() -> Option<i32> {
    let tasks = std::fs::read_dir("/proc/self/task").ok()?;
    let children = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("children")).ok());
    children.flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<i32>>()).last()
}
