use sage_plan::config::Generate;
use sage_runtime::engine::{PipelineBuilder, SinkOf, SourceOf};

use crate::figure::{Effort, Figure, Problem};
use crate::place::Place;
use crate::throughput::{generate, require_complete};

const RATE: u64 = 100_000;

/// Time of a record from source to sink, at a rate that leaves the machine idle most of the time.
pub(crate) fn latency(place: &Place, effort: Effort) -> Result<Vec<Figure>, Problem> {
    let (map, filter) = (place.operator("identity")?, place.operator("sample")?);
    let mut found = [const { Vec::new() }; 2];
    for _ in 0..effort.pick(5, 2) {
        let generate = Generate { rate: Some(RATE.into()), ..generate(RATE, 128) };
        let summary = PipelineBuilder::new("latency")
            .from_source("source", SourceOf::generate(generate))
            .map("map", &map)
            .filter("filter", &filter)
            .sink("sink", SinkOf::discard())
            .build(place.job_options())?
            .start()?
            .wait();
        require_complete(&summary, RATE)?;
        let sink = summary.stage("sink").ok_or("the summary has no sink")?;
        for (rounds, seconds) in found.iter_mut().zip([sink.latency_p50_seconds, sink.latency_p99_seconds]) {
            rounds.push(seconds.ok_or("the sink timed nothing")? * 1e3);
        }
    }
    let [half, nearly_all] = found;
    Ok(vec![
        Figure::of("latency at 100,000 records/s, p50", "ms", half),
        Figure::of("latency at 100,000 records/s, p99", "ms", nearly_all),
    ])
}
