use std::path::Path;
use std::time::{Duration, Instant};

use sage_models::{DType, NamedTensor, Tensor};

use super::served::{On, Order, Served, told};
use crate::clock::tree_cpu_time;
use crate::figure::{Effort, Figure, Problem};
use crate::place::Place;

/// A model that returns its input row.
const MODEL: &str = "input = \"f32[rows, 16]\"\n";
/// Calls in one round.
const CALLS: usize = 500;

/// Cost of a call without the model's own time: one caller, one row, a fake device.
pub(crate) fn queue(place: &Place, effort: Effort) -> Result<Vec<Figure>, Problem> {
    let model = place.scratch("echo.fake");
    std::fs::write(&model, MODEL)?;
    let tensor = Tensor::read(DType::F32, vec![1, 16], &[0; 64])?;
    let record = told("m x f32 1,16");
    let mut figures = Vec::new();
    for (where_, on) in [("in threads", On::FakeHere), ("in a process", On::FakeElsewhere)] {
        let order = made_up("queue", on, &model);
        let served = Served::open(place, order)?;
        let (access, mut caller) = (served.access(0)?, served.caller(0)?);
        let input = || vec![NamedTensor { name: "x".to_owned(), tensor: tensor.clone() }];
        let mut rounds = [Vec::new(), Vec::new()];
        for _ in 0..effort.pick(21, 5) {
            let by_itself = timed(|| Ok(access.run("m", input(), Duration::from_secs(10)).map(|_| ())?))?;
            let by_guest = timed(|| caller.call(&record).map(|_| ()))?;
            for (rounds, found) in rounds.iter_mut().zip([by_itself, by_guest]) {
                rounds.push(found);
            }
        }
        let [by_itself, by_guest] = rounds;
        figures.extend([
            Figure::of(format!("a call through the queue, device {where_}"), "µs", by_itself),
            Figure::of(format!("the same by a guest, device {where_}"), "µs", by_guest),
        ]);
    }
    figures.push(pictures(place, effort)?);
    figures.extend(waiting(place, effort)?);
    Ok(figures)
}

/// Cost of a call of the OCR classifier's size without the model's own time, in milliseconds: 32 pictures are
/// copied once, as from a guest's memory.
fn pictures(place: &Place, effort: Effort) -> Result<Figure, Problem> {
    let model = place.scratch("pictures.fake");
    std::fs::write(&model, "input = \"f32[rows, 3, 48, 192]\"\n")?;
    let order = made_up("pictures", On::FakeHere, &model);
    let served = Served::open(place, order)?;
    let access = served.access(0)?;
    let shape = vec![32, 3, 48, 192];
    let pictures = vec![0; 4 * shape.iter().product::<usize>()];
    let call = || -> Result<(), Problem> {
        let tensor = Tensor::read(DType::F32, shape.clone(), &pictures)?;
        access.run("m", vec![NamedTensor { name: "x".to_owned(), tensor }], Duration::from_secs(10))?;
        Ok(())
    };
    let rounds = (0..effort.pick(21, 5)).map(|_| timed(call).map(|microseconds| microseconds / 1e3));
    let rounds: Vec<f64> = rounds.collect::<Result<_, _>>()?;
    Ok(Figure::of("a call of 32 pictures (3.4 MiB) through the queue, device in threads", "ms", rounds))
}

/// CPU cost of waiting, over all processes together: a call takes half a second in which no process has work.
fn waiting(place: &Place, effort: Effort) -> Result<Vec<Figure>, Problem> {
    let model = place.scratch("slow.fake");
    std::fs::write(&model, format!("{MODEL}latency_per_run = \"500ms\"\n"))?;
    let record = told("m x f32 1,16");
    let ways = [
        ("guest and device in threads", On::FakeHere, false),
        ("guest in a worker", On::FakeHere, true),
        ("device in a process", On::FakeElsewhere, false),
    ];
    let mut figures = Vec::new();
    for (way, on, in_workers) in ways {
        let order = Order { in_workers, ..made_up("waiting", on, &model) };
        let served = Served::open(place, order)?;
        let mut caller = served.caller(0)?;
        caller.call(&record)?;
        let mut rounds = Vec::new();
        for _ in 0..effort.pick(7, 2) {
            let (begun, before) = (Instant::now(), tree_cpu_time());
            caller.call(&record)?;
            let spent = tree_cpu_time().saturating_sub(before);
            rounds.push(spent.as_secs_f64() / begun.elapsed().as_secs_f64() * 100.0);
        }
        figures.push(Figure::of(format!("CPU while a call waits for a device, {way}"), "%", rounds));
    }
    Ok(figures)
}

/// A component that calls a fake model.
fn made_up<'a>(name: &'a str, on: On, model: &'a Path) -> Order<'a> {
    Order { name, on, backend: "fake", model, settings: "batching = false", instances: 1, in_workers: false }
}

/// Microseconds for each call.
fn timed(mut call: impl FnMut() -> Result<(), Problem>) -> Result<f64, Problem> {
    call()?;
    let begun = Instant::now();
    for _ in 0..CALLS {
        call()?;
    }
    Ok(begun.elapsed().as_secs_f64() * 1e6 / CALLS as f64)
}
