use std::time::Instant;

use super::direct::no_onnxruntime;
use super::models::magika;
use super::served::{On, Order, Prepared, no_cuda, told};
use crate::figure::{Effort, Figure, Problem};
use crate::place::Place;

/// Time from the request for a lease to a guest's first answer: admission, opening the device, loading the
/// model, starting the guest, and one row.
pub(crate) fn first_result(place: &Place, effort: Effort) -> Result<Vec<Figure>, Problem> {
    let model = magika(place);
    let record = told(&model.told(1));
    let mut figures = Vec::new();
    for (of, on, backend, settings, why_not) in [
        ("tract in threads", On::CpuHere, "tract", "batching = false", None),
        ("tract in threads, batching measured", On::CpuHere, "tract", "", None),
        ("tract in a process", On::CpuElsewhere, "tract", "batching = false", None),
        ("ONNX Runtime in threads", On::CpuHere, "onnxruntime", "batching = false", no_onnxruntime()),
        ("CUDA", On::Cuda, "onnxruntime", "batching = false", no_cuda()),
    ] {
        let name = format!("admission to first result, {}, {of}", model.name);
        let order =
            Order { name: "first", on, backend, model: model.path(), settings, instances: 1, in_workers: false };
        let once = || -> Result<f64, Problem> {
            let prepared = Prepared::new(place, order)?;
            let begun = Instant::now();
            let served = prepared.admit()?;
            served.caller(0)?.call(&record)?;
            Ok(begun.elapsed().as_secs_f64() * 1e3)
        };
        let measured: Result<Vec<f64>, Problem> = match why_not {
            Some(why) => Err(why.into()),
            None => (0..effort.pick(7, 2)).map(|_| once()).collect(),
        };
        figures.push(match measured {
            Ok(rounds) => Figure::of(name, "ms", rounds),
            Err(problem) => Figure::skipped(&name, &problem),
        });
    }
    Ok(figures)
}
