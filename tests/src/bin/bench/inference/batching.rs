use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use sage_host::config::BackendChoice;
use sage_host::inference::{Batching, DeviceCpus, DeviceQueue, ThreadRunner, ThreadSettings, cpu_backends};
use sage_host::plan::ModelSpec;
use sage_host::resources::CpuSet;

use super::direct::no_onnxruntime;
use super::models::{Measured, classifier, magika, of_minilms_size};
use super::served::{Caller, On, Order, Served, told};
use crate::figure::{Effort, Figure, Problem, Target};
use crate::place::Place;

/// Each sends one row at a time. As many as are measured together at load.
const INSTANCES: u32 = 8;
/// The settings of a model whose calls run together, and of one whose do not. A batch is all that can be asked at a time; 2 ms are long for callers
/// that were just answered to ask again, and short beside runs.
const TOGETHER: &str = "batching = true\nmax_rows = 8\nmax_delay = \"2ms\"\nworkspace = \"64MiB\"";
const ALONE: &str = "batching = false\nworkspace = \"64MiB\"";

/// Instances that share a device: rows a second where their calls run together over rows a second where they do not. And what measuring at load finds.
pub(crate) fn batching(place: &Place, effort: Effort) -> Result<Vec<Figure>, Problem> {
    let transformer = of_minilms_size(place)?;
    let (magika, classifier) = (magika(place), classifier(place));
    let mut figures = Vec::new();
    for (of, backend, why_not) in [("tract", "tract", None), ("ONNX Runtime", "onnxruntime", no_onnxruntime())] {
        // Of tract's own time a MiniLM takes too little less a row in company for it to be judged.
        let judged = Some(1.3).filter(|_| backend == "onnxruntime");
        for (model, target) in [(&transformer, judged), (&classifier, None)] {
            let name = format!("{}, {of}, {INSTANCES} instances", model.name);
            let measured = match &why_not {
                Some(why) => Err(why.as_str().into()),
                None => together(place, effort, &name, model, backend, target),
            };
            figures.extend(measured.unwrap_or_else(|problem| vec![Figure::skipped(&name, &problem)]));
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
    model: &Measured,
    backend: &str,
    target: Option<f64>,
) -> Result<Vec<Figure>, Problem> {
    let open = |name: &str, settings: &str| -> Result<(Vec<Caller>, Served), Problem> {
        let order = Order {
            name,
            on: On::CpuHere,
            backend,
            model: model.path(),
            settings,
            instances: INSTANCES,
            in_workers: false,
        };
        let served = Served::open(place, order)?;
        let callers = (0..INSTANCES).map(|instance| served.caller(instance)).collect::<Result<_, _>>()?;
        Ok((callers, served))
    };
    let (mut alone, _one) = open("alone", ALONE)?;
    let (mut together, other) = open("together", TOGETHER)?;
    let mut rates = [const { Vec::new() }; 4];
    let turn = effort.pick(Duration::from_secs(2), Duration::from_millis(700));
    for _ in 0..effort.pick(5, 3) {
        let alone = rate(&mut alone, model, turn)?;
        let before = other.rows_and_runs();
        let together = rate(&mut together, model, turn)?;
        let after = other.rows_and_runs();
        let rows_a_run = (after.0 - before.0) as f64 / (after.1 - before.1).max(1) as f64;
        for (rounds, rate) in rates.iter_mut().zip([alone, together, rows_a_run, together / alone]) {
            rounds.push(rate);
        }
    }
    let [alone, together, rows_a_run, ratio] = rates;
    let ratio = Figure::of(format!("{name}: together / alone"), "×", ratio);
    Ok(vec![
        Figure::of(format!("{name}: each call alone"), "rows/s", alone),
        Figure::of(format!("{name}: calls together"), "rows/s", together),
        Figure::of(format!("{name}: calls together, rows of a run"), "rows", rows_a_run),
        match target {
            Some(least) => ratio.target(Target::AtLeast(least)),
            None => ratio,
        },
    ])
}

/// Rows a second of all callers at once.
fn rate(callers: &mut [Caller], model: &Measured, turn: Duration) -> Result<f64, Problem> {
    let record = told(&model.told(1));
    let ready = Barrier::new(callers.len());
    let counted: Result<f64, String> = thread::scope(|scope| {
        let running: Vec<_> = callers
            .iter_mut()
            .map(|caller| {
                scope.spawn(|| {
                    // The first call makes the tensor.
                    let warm = caller.call(&record).map_err(|problem| problem.to_string());
                    ready.wait();
                    let (begun, mut calls) = (Instant::now(), 0_u32);
                    warm?;
                    while begun.elapsed() < turn {
                        caller.call(&record).map_err(|problem| problem.to_string())?;
                        calls += 1;
                    }
                    Ok(f64::from(calls) / begun.elapsed().as_secs_f64())
                })
            })
            .collect();
        running.into_iter().map(|running| running.join().unwrap_or_else(|_| Err("a caller panicked".to_owned()))).sum()
    });
    Ok(counted?)
}

/// What a queue finds when it loads the model and nothing is declared.
fn measured_at_load(model: &Measured, backend: &str) -> Result<f64, Problem> {
    let backend = if backend == "tract" { BackendChoice::Tract } else { BackendChoice::Onnxruntime };
    let settings = ThreadSettings { slots: 1, threads: 1, memory: None };
    let runner = Arc::new(ThreadRunner::new(settings, cpu_backends(backend, None)?));
    let queue = DeviceQueue::start("measures", runner, &DeviceCpus::Own(CpuSet::allowed()?))?;
    let spec = ModelSpec {
        name: "m".to_owned(),
        path: model.path().to_owned(),
        sha256: None,
        backend,
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
