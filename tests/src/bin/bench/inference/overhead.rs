use std::time::{Duration, Instant};

use sage_host::batch::Batch;

use super::direct::{Direct, no_onnxruntime};
use super::models::{Measured, classifier, magika};
use super::served::{Caller, On, Order, Served, no_cuda, told};
use crate::clock::process_cpu_time;
use crate::figure::{Effort, Figure, Problem, Target};
use crate::place::Place;

/// Rows of a call.
const ROWS: usize = 32;
const LEAST_ROUNDS: usize = 7;

/// A way from a guest to a model: how figures call it, where the device is, and whether the guest is in a worker.
type Way = (&'static str, On, bool);

const ON_A_CPU: [Way; 4] = [
    ("through the import", On::CpuHere, false),
    ("the same, guest in a worker", On::CpuHere, true),
    ("the same, device in a process", On::CpuElsewhere, false),
    ("the same, both", On::CpuElsewhere, true),
];
const ON_CUDA: [Way; 2] = [("through the import", On::Cuda, false), ("the same, guest in a worker", On::Cuda, true)];

/// What a run of 32 rows costs a guest beyond what it costs whoever calls the backend itself, on the same tensors.
pub(crate) fn overhead(place: &Place, effort: Effort) -> Result<Vec<Figure>, Problem> {
    let mut figures = Vec::new();
    for model in [magika(place), classifier(place)] {
        for (of, ways, backend, why_not) in [
            ("tract", &ON_A_CPU[..], "tract", None),
            ("ONNX Runtime", &ON_A_CPU, "onnxruntime", no_onnxruntime()),
            ("CUDA", &ON_CUDA, "onnxruntime", no_cuda()),
        ] {
            let name = format!("{} × {ROWS}, {of}", model.name);
            let measured = match why_not {
                Some(why) => Err(why.into()),
                None => {
                    Compared::new(place, &model, ways, backend).and_then(|compared| compared.measure(&name, effort))
                }
            };
            let skipped = |problem| vec![Figure::skipped(&format!("{name}: import / direct"), &problem)];
            figures.extend(measured.unwrap_or_else(skipped));
        }
    }
    Ok(figures)
}

/// A model called directly, and in other ways.
struct Compared<'a> {
    direct: Direct,
    ways: &'a [Way],
    callers: Vec<Caller>,
    batch: Batch,
    // After its callers.
    _served: Vec<Served>,
}

/// What a call took.
#[derive(Clone, Copy)]
struct Took {
    wall: Duration,
    /// Of all threads of this process.
    cpu: Duration,
}

impl<'a> Compared<'a> {
    fn new(place: &Place, model: &Measured, ways: &'a [Way], backend: &str) -> Result<Self, Problem> {
        let on = ways.first().ok_or("nothing to compare")?.1;
        let direct = Direct::load(model, on, backend, ROWS)?;
        let expected = direct.run(direct.inputs())?;
        let batch = told(&model.told(ROWS));
        let (mut served, mut callers) = (Vec::new(), Vec::new());
        for (at, (way, on, in_workers)) in ways.iter().enumerate() {
            let name = format!("way-{at}");
            let order = Order {
                name: &name,
                on: *on,
                backend,
                model: model.path(),
                settings: "batching = false",
                instances: 1,
                in_workers: *in_workers,
            };
            let one = Served::open(place, order)?;
            let mut caller = one.caller(0)?;
            // What is measured is what works, and memory is grown before.
            for _ in 0..2 {
                let answered = caller.call(&batch)?;
                // A GPU's kernels may be chosen anew by each process.
                if answered != expected && *on != On::Cuda {
                    return Err(format!("{way}: another answer than the direct one").into());
                }
            }
            served.push(one);
            callers.push(caller);
        }
        Ok(Self { direct, ways, callers, batch, _served: served })
    }

    fn measure(mut self, name: &str, effort: Effort) -> Result<Vec<Figure>, Problem> {
        let enough = effort.pick(Duration::from_secs(20), Duration::from_secs(4));
        let begun = Instant::now();
        let mut rounds: Vec<Vec<Took>> = Vec::new();
        while rounds.len() < LEAST_ROUNDS || begun.elapsed() < enough {
            rounds.push(self.round(rounds.len())?);
        }
        let of = |at: usize| rounds.iter().filter_map(move |round| round.get(at));
        let wall = |at: usize| of(at).map(|took| took.wall.as_secs_f64() * 1e3);
        let over = |time: fn(&Took) -> Duration, at: usize| {
            of(at)
                .zip(of(0))
                .map(move |(way, direct)| (time(way).as_secs_f64() / time(direct).as_secs_f64() - 1.0) * 100.0)
        };
        let named = |what: &str| format!("{name}: {what}");
        let mut figures = vec![Figure::of(named("called directly"), "ms", wall(0))];
        for (at, (way, ..)) in (1..).zip(self.ways) {
            let figure = Figure::of(named(&format!("{way}, beyond direct")), "%", over(|took| took.wall, at));
            figures.push(if at == 1 { figure.target(Target::AtMost(3.0)) } else { figure });
        }
        figures.push(Figure::of(named("through the import, CPU beyond direct"), "%", over(|took| took.cpu, 1)));
        Ok(figures)
    }

    /// Each once, none always after the same other; the direct call's time first.
    fn round(&mut self, number: usize) -> Result<Vec<Took>, Problem> {
        let all = self.callers.len() + 1;
        let mut took = vec![None; all];
        for turn in 0..all {
            let at = (number + turn) % all;
            let inputs = if at == 0 { self.direct.inputs() } else { Vec::new() };
            let (wall, cpu) = (Instant::now(), process_cpu_time());
            match at.checked_sub(1).and_then(|way| self.callers.get_mut(way)) {
                Some(caller) => caller.call(&self.batch)?,
                None => self.direct.run(inputs)?,
            };
            if let Some(took) = took.get_mut(at) {
                *took = Some(Took { wall: wall.elapsed(), cpu: process_cpu_time().saturating_sub(cpu) });
            }
        }
        Ok(took.into_iter().flatten().collect())
    }
}
