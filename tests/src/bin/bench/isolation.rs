use std::path::Path;

use sage_runtime::engine::{JobOptions, PipelineBuilder, SinkOf, SourceOf};

use crate::clock::family_cpu_time;
use crate::figure::{Effort, Figure, Problem, Target};
use crate::place::Place;
use crate::throughput::{generate, require_complete};

/// generate → map → filter → discard in threads and in worker processes, in turns: CPU time of all processes
/// together, including the starts of the workers. The first filter reads a byte and keeps all records; the
/// second reads every byte and keeps half.
pub(crate) fn isolation(place: &Place, effort: Effort) -> Result<Vec<Figure>, Problem> {
    let mut figures = Vec::new();
    for (kept, filter) in [("all", "keep_nonempty"), ("half", "sample")] {
        figures.extend(with_filter(place, effort, kept, &place.operator(filter)?)?);
    }
    Ok(figures)
}

fn with_filter(place: &Place, effort: Effort, kept: &str, filter: &Path) -> Result<Vec<Figure>, Problem> {
    let count = effort.pick(8_000_000, 4_000_000);
    let map = place.operator("identity")?;
    let mut rates = [Vec::new(), Vec::new()];
    let mut ratios = Vec::new();
    let run = |options: JobOptions| -> Result<f64, Problem> {
        let job = PipelineBuilder::new("isolation")
            .from_source("source", SourceOf::generate(generate(count, 128)))
            .map("map", &map)
            .filter("filter", filter)
            .sink("sink", SinkOf::discard())
            .build(options)?;
        let before = family_cpu_time();
        let summary = job.start()?.wait();
        let spent = family_cpu_time().saturating_sub(before);
        require_complete(&summary, count)?;
        Ok(spent.as_secs_f64())
    };
    for _ in 0..effort.pick(7, 3) {
        let threads = run(place.job_options())?;
        let processes = run(place.process_options()?)?;
        for (rounds, spent) in rates.iter_mut().zip([threads, processes]) {
            rounds.push(count as f64 / spent / 1e6);
        }
        ratios.push(processes / threads);
    }
    let [threads, processes] = rates;
    let named = |what: &str| format!("{what}, filter keeps {kept}: 128 B");
    Ok(vec![
        Figure::of(named("generate to discard in threads"), "M records/CPU-s", threads),
        Figure::of(named("generate to discard in processes"), "M records/CPU-s", processes),
        Figure::of(named("CPU in processes / in threads"), "", ratios).target(Target::AtMost(1.5)),
    ])
}
