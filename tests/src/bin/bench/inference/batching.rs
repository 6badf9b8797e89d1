use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use sage_machine::CpuSet;
use sage_models::{Batching, DeviceCpus, DeviceQueue, ThreadRunner, ThreadSettings, cpu_backends};
use sage_plan::config::BackendChoice;
use sage_plan::{ModelSpec, RowsChoice};

use super::direct::no_onnxruntime;
use super::models::{Measured, classifier, magika, of_minilms_size};
use super::served::{Caller, On, Order, Served, told};
use crate::clock::process_cpu_time;
use crate::figure::{Effort, Figure, Problem, Target};
use crate::place::Place;

/// Numbers of instances. Each instance sends one row at a time, so this is the largest number of waiting
/// rows.
const INSTANCES: [u32; 3] = [4, 8, 16];
/// Number of instances for a model that gains little from batching.
const FEW: [u32; 1] = [8];
/// Model settings with which calls run alone.
const ALONE: &str = "batching = false\nworkspace = \"64MiB\"";
/// Model settings with which calls run together, without `max_rows`. A delay of 2 ms is long enough for a
/// caller that just got an answer to send the next row, and short compared with a run.
const TOGETHER: &str = "batching = true\nworkspace = \"64MiB\"\nmax_delay = \"2ms\"";

/// Instances that share a device: rows for each second of CPU time if their calls run together, divided by
/// the same if they run alone. Also, the decision that a queue makes from its measurement at load.
pub(crate) fn batching(place: &Place, effort: Effort) -> Result<Vec<Figure>, Problem> {
    let transformer = of_minilms_size(place)?;
    let (magika, classifier) = (magika(place), classifier(place));
    let mut figures = Vec::new();
    for (of, backend, why_not) in [("tract", "tract", None), ("ONNX Runtime", "onnxruntime", no_onnxruntime())] {
        for (model, target, counts) in [(&transformer, Some(1.3), &INSTANCES[..]), (&classifier, None, &FEW)] {
            for &instances in counts {
                let name = format!("{}, {of}, {instances} instances", model.name);
                let measured = match &why_not {
                    Some(why) => Err(why.as_str().into()),
                    None => together(place, effort, &name, (model, backend), instances, target),
                };
                figures.extend(measured.unwrap_or_else(|problem| vec![Figure::skipped(&name, &problem)]));
            }
        }
        for (model, is_right) in [(&transformer, Target::AtLeast(1.1)), (&magika, Target::AtMost(1.1))] {
            let name = format!("{}, {of}: together / alone as measured at load (on from 1.1)", model.name);
            let measured: Result<Vec<f64>, Problem> = match &why_not {
                Some(why) => Err(why.as_str().into()),
                None => (0..effort.pick(3, 1)).map(|_| measured_at_load(model, backend)).collect(),
            };
            figures.push(match measured {
                Ok(rounds) => Figure::of(name, "×", rounds).target(is_right),
                Err(problem) => Figure::skipped(&name, &problem),
            });
        }
    }
    Ok(figures)
}

fn together(
    place: &Place,
    effort: Effort,
    name: &str,
    (model, backend): (&Measured, &str),
    instances: u32,
    target: Option<f64>,
) -> Result<Vec<Figure>, Problem> {
    let open = |name: &str, settings: &str| -> Result<(Vec<Caller>, Served), Problem> {
        let order =
            Order { name, on: On::CpuHere, backend, model: model.path(), settings, instances, in_workers: false };
        let served = Served::open(place, order)?;
        let mut callers: Vec<Caller> =
            (0..instances).map(|instance| served.caller(instance)).collect::<Result<_, _>>()?;
        for caller in &mut callers {
            // The first call makes the tensor.
            caller.call(&told(&model.told(1)))?;
        }
        Ok((callers, served))
    };
    let (mut alone, _one) = open("alone", ALONE)?;
    let (mut together, other) = open("together", &format!("{TOGETHER}\nmax_rows = {instances}"))?;
    let mut found = [const { Vec::new() }; 5];
    let turn = effort.pick(Duration::from_secs(2), Duration::from_millis(700));
    for _ in 0..effort.pick(5, 3) {
        let [alone_wall, alone] = rates(&mut alone, model, turn)?;
        let before = other.rows_and_runs();
        let [together_wall, together] = rates(&mut together, model, turn)?;
        let after = other.rows_and_runs();
        let rows_a_run = (after.0 - before.0) as f64 / (after.1 - before.1).max(1) as f64;
        let values = [alone, together, rows_a_run, together / alone, together_wall / alone_wall];
        for (rounds, value) in found.iter_mut().zip(values) {
            rounds.push(value);
        }
    }
    let [alone, together, rows_a_run, ratio, wall_ratio] = found;
    let ratio = Figure::of(format!("{name}: together / alone"), "×", ratio);
    Ok(vec![
        Figure::of(format!("{name}: each call alone"), "rows/CPU-s", alone),
        Figure::of(format!("{name}: calls together"), "rows/CPU-s", together),
        Figure::of(format!("{name}: calls together, rows of a run"), "rows", rows_a_run),
        match target {
            Some(least) => ratio.target(Target::AtLeast(least)),
            None => ratio,
        },
        Figure::of(format!("{name}: together / alone by the wall"), "×", wall_ratio),
    ])
}

/// Rows of all callers for each second of wall time, and for each second of CPU time of the process. The
/// device has one thread, so the two are equal if that thread has a CPU to itself.
fn rates(callers: &mut [Caller], model: &Measured, turn: Duration) -> Result<[f64; 2], Problem> {
    let record = told(&model.told(1));
    let (begun, before) = (Instant::now(), process_cpu_time());
    let calls: Result<u32, String> = thread::scope(|scope| {
        let running: Vec<_> = callers
            .iter_mut()
            .map(|caller| {
                scope.spawn(|| {
                    let mut calls = 0;
                    while begun.elapsed() < turn {
                        caller.call(&record).map_err(|problem| problem.to_string())?;
                        calls += 1;
                    }
                    Ok(calls)
                })
            })
            .collect();
        running.into_iter().map(|running| running.join().unwrap_or_else(|_| Err("a caller panicked".to_owned()))).sum()
    });
    let times = [begun.elapsed(), process_cpu_time().saturating_sub(before)];
    let calls = f64::from(calls?);
    Ok(times.map(|time| calls / time.as_secs_f64()))
}

/// The measurement of a queue that loads the model without a declaration.
fn measured_at_load(model: &Measured, backend: &str) -> Result<f64, Problem> {
    let backend = if backend == "tract" { BackendChoice::Tract } else { BackendChoice::Onnxruntime };
    let settings = ThreadSettings { slots: 1, threads: 1, memory: None };
    let runner = Arc::new(ThreadRunner::new(settings, cpu_backends(backend, None)?));
    let queue = DeviceQueue::start("measures", runner, &DeviceCpus::Own(CpuSet::allowed()?), None)?;
    let spec = ModelSpec {
        name: "m".to_owned(),
        path: model.path().to_owned(),
        sha256: None,
        backend,
        rows: RowsChoice::Shown,
        graph_rows: None,
        max_rows: 32,
        max_delay: Duration::ZERO,
        batching: None,
        deterministic: false,
        workspace: 256 << 20,
    };
    queue.load(&spec, Instant::now() + Duration::from_secs(120))?;
    match queue.batching("m") {
        Some(Batching::Measured { alone, together, .. }) => Ok(together / alone),
        other => Err(format!("it was not measured: {other:?}").into()),
    }
}
