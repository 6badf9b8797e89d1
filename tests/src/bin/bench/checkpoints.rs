use std::fs;
use std::time::Duration;

use sage_plan::config::Generate;
use sage_runtime::engine::{PipelineBuilder, SinkOf, SourceOf};

use crate::clock::process_cpu_time;
use crate::figure::{Effort, Figure, Problem, Target};
use crate::place::Place;
use crate::throughput::require_complete;

/// The CPU time of pipelines that save epochs, compared with that of the same pipelines without.
pub(crate) fn checkpoints(place: &Place, effort: Effort) -> Result<Vec<Figure>, Problem> {
    let mut figures = Vec::new();
    for work in [
        Work { name: "stateless", operator: "identity", keys: None, count: 30_000_000, most: 1.01 },
        Work { name: "10,000 keys", operator: "count", keys: Some(10_000), count: 15_000_000, most: 1.03 },
        Work { name: "1,000,000 keys", operator: "count", keys: Some(1_000_000), count: 6_000_000, most: 1.15 },
    ] {
        let (mut ratios, mut epochs) = (Vec::new(), Vec::new());
        for _ in 0..effort.pick(7, 1) {
            let (with, saved) = work.cpu_time(place, true)?;
            let (without, _) = work.cpu_time(place, false)?;
            ratios.push(with.as_secs_f64() / without.as_secs_f64());
            epochs.push(saved as f64);
        }
        let name = format!("{}: CPU with an epoch each second / without", work.name);
        figures.push(Figure::of(name, "×", ratios).target(Target::AtMost(work.most)));
        figures.push(Figure::of(format!("{}: epochs of a run", work.name), "", epochs));
    }
    Ok(figures)
}

struct Work {
    name: &'static str,
    operator: &'static str,
    keys: Option<u64>,
    count: u64,
    most: f64,
}

impl Work {
    /// The CPU time of a run, and its last epoch.
    fn cpu_time(&self, place: &Place, saves: bool) -> Result<(Duration, u64), Problem> {
        let generate = Generate {
            count: Some(self.count.into()),
            payload_bytes: Some(32.into()),
            keys: self.keys.map(Into::into),
            ..Generate::default()
        };
        let folder = place.scratch("state");
        let _ = fs::remove_dir_all(&folder);
        let component = place.operator(self.operator)?;
        let mut builder = PipelineBuilder::new("saved");
        if saves {
            builder = builder.checkpoint(folder.display().to_string(), Duration::from_secs(1));
        }
        let builder = builder.from_source("source", SourceOf::generate(generate));
        let operator = match self.keys {
            Some(_) => builder.process("operator", &component),
            None => builder.map("operator", &component),
        };
        let job = operator.sink("sink", SinkOf::discard()).build(place.job_options())?;
        let before = process_cpu_time();
        let summary = job.start()?.wait();
        let spent = process_cpu_time().saturating_sub(before);
        require_complete(&summary, self.count)?;
        Ok((spent, summary.last_epoch.unwrap_or(0)))
    }
}
