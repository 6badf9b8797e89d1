use std::time::{Duration, Instant};

use sage_batch::Batch;

use super::direct::{Direct, no_onnxruntime};
use super::models::{Measured, classifier, magika};
use super::served::{Caller, On, Order, Served, no_cuda, told};
use crate::clock::process_cpu_time;
use crate::figure::{Effort, Figure, Problem, Target};
use crate::place::Place;

/// Rows in a call.
const ROWS: usize = 32;
const LEAST_ROUNDS: usize = 7;
/// Minimum duration of a turn of short calls. Caches then hold the data of these calls, not the data of the
/// other way.
const TURN: Duration = Duration::from_millis(150);

/// A way from a guest to a model: its name in figures, the place of the device, and whether the guest is in a
/// worker.
type Way = (&'static str, On, bool);

const ON_A_CPU: [Way; 4] = [
    ("through the import", On::CpuHere, false),
    ("the same, guest in a worker", On::CpuHere, true),
    ("the same, device in a process", On::CpuElsewhere, false),
    ("the same, both", On::CpuElsewhere, true),
];
const ON_CUDA: [Way; 2] = [("through the import", On::Cuda, false), ("the same, guest in a worker", On::Cuda, true)];

/// Extra cost of a run of 32 rows for a guest, compared with a direct call of the backend on the same
/// tensors.
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
                None => compare(place, effort, &name, &model, ways, backend),
            };
            let skipped = |problem| vec![Figure::skipped(&format!("{name}: import / direct"), &problem)];
            figures.extend(measured.unwrap_or_else(skipped));
        }
    }
    Ok(figures)
}

/// A model that is called directly, and in another way.
struct Compared {
    direct: Direct,
    caller: Caller,
    batch: Batch,
    // Dropped after its caller.
    _served: Served,
}

/// Time of a call.
#[derive(Clone, Copy)]
struct Took {
    wall: Duration,
    /// CPU time of all threads of this process.
    cpu: Duration,
}

/// Measures each way beside the direct one.
fn compare(
    place: &Place,
    effort: Effort,
    name: &str,
    model: &Measured,
    ways: &[Way],
    backend: &str,
) -> Result<Vec<Figure>, Problem> {
    let named = |what: &str| format!("{name}: {what}");
    let mut figures = Vec::new();
    for (at, (way, on, in_workers)) in ways.iter().enumerate() {
        // The first way, which has a target, is measured for longer.
        let enough = Duration::from_secs(effort.pick(if at == 0 { 14 } else { 4 }, 2));
        let order = Order {
            name: "overhead",
            on: *on,
            backend,
            model: model.path(),
            settings: "batching = false",
            instances: 1,
            in_workers: *in_workers,
        };
        let rounds = Compared::new(place, model, order)?.rounds(enough)?;
        let beyond = |time: fn(&Took) -> Duration| {
            let beyond = move |(direct, other): &(Took, Took)| {
                (time(other).as_secs_f64() / time(direct).as_secs_f64() - 1.0) * 100.0
            };
            rounds.iter().map(beyond).collect::<Vec<_>>()
        };
        let beyond_wall = Figure::of(named(&format!("{way}, beyond direct")), "%", beyond(|took| took.wall));
        if at > 0 {
            figures.push(beyond_wall);
            continue;
        }
        let direct = rounds.iter().map(|(direct, _)| direct.wall.as_secs_f64() * 1e3);
        let beyond_cpu = Figure::of(named(&format!("{way}, CPU beyond direct")), "%", beyond(|took| took.cpu));
        figures.push(Figure::of(named("called directly"), "ms", direct));
        figures.push(beyond_cpu.target(Target::AtMost(3.0)));
        figures.push(beyond_wall);
    }
    Ok(figures)
}

impl Compared {
    fn new(place: &Place, model: &Measured, order: Order<'_>) -> Result<Self, Problem> {
        let direct = Direct::load(model, order.on, order.backend, ROWS)?;
        let expected = direct.run(direct.inputs())?;
        let batch = told(&model.told(ROWS));
        let served = Served::open(place, order)?;
        let mut caller = served.caller(0)?;
        // Checks the results before measuring, and lets the memory grow to its final size.
        for _ in 0..2 {
            let answered = caller.call(&batch)?;
            // Each process may choose the kernels of a GPU anew, so CUDA results may differ.
            if answered != expected && order.on != On::Cuda {
                return Err(format!("{answered} came out, called directly {expected}").into());
            }
        }
        Ok(Self { direct, caller, batch, _served: served })
    }

    /// Turns of both ways, in alternating order.
    fn rounds(mut self, enough: Duration) -> Result<Vec<(Took, Took)>, Problem> {
        let begun = Instant::now();
        let calls = u32::try_from(TURN.as_nanos() / self.direct(1)?.wall.as_nanos().max(1))?.max(1);
        let mut rounds = Vec::new();
        while rounds.len() < LEAST_ROUNDS || begun.elapsed() < enough {
            rounds.push(if rounds.len() % 2 == 0 {
                let direct = self.direct(calls)?;
                (direct, self.other(calls)?)
            } else {
                let other = self.other(calls)?;
                (self.direct(calls)?, other)
            });
        }
        Ok(rounds)
    }

    fn direct(&self, calls: u32) -> Result<Took, Problem> {
        let mut took = Took { wall: Duration::ZERO, cpu: Duration::ZERO };
        for _ in 0..calls {
            let inputs = self.direct.inputs();
            let one = timed(|| self.direct.run(inputs))?;
            took = Took { wall: took.wall + one.wall, cpu: took.cpu + one.cpu };
        }
        Ok(Took { wall: took.wall / calls, cpu: took.cpu / calls })
    }

    fn other(&mut self, calls: u32) -> Result<Took, Problem> {
        let all = timed(|| {
            for _ in 0..calls {
                self.caller.call(&self.batch)?;
            }
            Ok(0)
        })?;
        Ok(Took { wall: all.wall / calls, cpu: all.cpu / calls })
    }
}

fn timed(act: impl FnOnce() -> Result<u64, Problem>) -> Result<Took, Problem> {
    let (wall, cpu) = (Instant::now(), process_cpu_time());
    act()?;
    Ok(Took { wall: wall.elapsed(), cpu: process_cpu_time().saturating_sub(cpu) })
}
