use sage_observe::Summary;
use sage_plan::config::Generate;
use sage_runtime::engine::{Job, JobError, PipelineBuilder, SinkOf, SourceOf};
use serde_json::json;

use crate::clock::process_cpu_time;
use crate::figure::{Effort, Figure, Problem, Target};
use crate::keyed_lines::KeyedLines;
use crate::place::Place;
use crate::readings::write_readings;

/// generate → map → filter → discard. The first filter reads a byte and keeps all records; the second reads every
/// byte and keeps half, which are then copied.
pub(crate) fn in_memory(place: &Place, effort: Effort) -> Result<Vec<Figure>, Problem> {
    let count = effort.pick(4_000_000, 500_000);
    let map = place.operator("identity")?;
    let mut figures = Vec::new();
    for (kept, filter) in [("all", place.operator("keep_nonempty")?), ("half", place.operator("sample")?)] {
        let name = format!("generate, map, filter that keeps {kept}, discard: 128 B");
        let found = throughput(&name, count, effort, || {
            PipelineBuilder::new("in-memory")
                .from_source("source", SourceOf::generate(generate(count, 128)))
                .map("map", &map)
                .filter("filter", &filter)
                .sink("sink", SinkOf::discard())
                .build(place.job_options())
        })?;
        figures.extend(judged(found, 10.0));
    }
    Ok(figures)
}

/// JSON lines file → parse and map → filter → file.
pub(crate) fn json_lines(place: &Place, effort: Effort) -> Result<Vec<Figure>, Problem> {
    let count = effort.pick(1_000_000, 200_000);
    let (input, output) = (place.scratch("readings.jsonl"), place.scratch("celsius.jsonl"));
    write_readings(&input, count)?;
    let (map, filter) = (place.operator("json_celsius")?, place.operator("sample")?);
    let figures = throughput("JSON lines file, parse and map, filter, file: 136 B", count, effort, || {
        PipelineBuilder::new("json-lines")
            .from_source("source", SourceOf::file(&input.display().to_string(), "jsonl"))
            .map("map", &map)
            .filter("filter", &filter)
            .sink("sink", SinkOf::file(&output.display().to_string()))
            .build(place.job_options())
    })?;
    std::fs::remove_file(&input)?;
    std::fs::remove_file(&output)?;
    Ok(judged(figures, 1.0))
}

/// Records with a key in them → key-by → count → discard.
pub(crate) fn keyed_count(place: &Place, effort: Effort) -> Result<Vec<Figure>, Problem> {
    keyed(place, effort, "keyed count: 32 B, 10,000 keys", 1).map(|figures| judged(figures, 4.0))
}

/// The same with four counting instances, so that every record is sent to the instance of its key.
pub(crate) fn keyed_count_spread(place: &Place, effort: Effort) -> Result<Vec<Figure>, Problem> {
    keyed(place, effort, "keyed count over 4 instances: 32 B, 10,000 keys", 4)
}

fn keyed(place: &Place, effort: Effort, name: &str, instances: u32) -> Result<Vec<Figure>, Problem> {
    let count = effort.pick(2_000_000, 300_000);
    let (key_by, process) = (place.operator("key_field")?, place.operator("count")?);
    throughput(name, count, effort, || {
        PipelineBuilder::new("keyed-count")
            .from_source("source", SourceOf::provided(KeyedLines::new(count, 10_000, 32)))
            .key_by("key-by", &key_by)
            .process("process", &process)
            .partition("key")
            .parallelism(instances)
            .resources(sage_plan::config::Resources { memory: Some((64 << 20).into()), ..Default::default() })
            .sink("sink", SinkOf::discard())
            .build(place.job_options())
    })
}

/// A source of `count` generated records of `bytes` bytes.
pub(crate) fn generate(count: u64, bytes: u64) -> Generate {
    Generate { count: Some(count.into()), payload_bytes: Some(bytes.into()), ..Generate::default() }
}

/// Runs the pipeline that `build` makes, several times. The first figure is millions of records for each
/// second of CPU time of the whole process. The others are the CPU time of each stage's threads for each
/// record of the source.
fn throughput(
    name: &str,
    count: u64,
    effort: Effort,
    build: impl Fn() -> Result<Job, JobError>,
) -> Result<Vec<Figure>, Problem> {
    let mut rates = Vec::new();
    let mut stages: Vec<(String, Vec<f64>)> = Vec::new();
    for _ in 0..effort.pick(7, 2) {
        let job = build()?;
        let before = process_cpu_time();
        let summary = job.start()?.wait();
        let spent = process_cpu_time().saturating_sub(before);
        require_complete(&summary, count)?;
        rates.push(count as f64 / spent.as_secs_f64() / 1e6);
        for (at, stage) in summary.stages.iter().enumerate() {
            let nanoseconds = stage.cpu_seconds * 1e9 / count as f64;
            match stages.get_mut(at) {
                Some((_, rounds)) => rounds.push(nanoseconds),
                None => stages.push((format!("- {} ({})", stage.name, stage.kind), vec![nanoseconds])),
            }
        }
    }
    let rate = Figure::of(name, "M records/CPU-s", rates);
    let parts = stages.into_iter().map(|(name, rounds)| Figure::of(name, "ns/record", rounds));
    Ok(std::iter::once(rate).chain(parts).collect())
}

/// Fails for a run that lost records, because its speed means nothing.
pub(crate) fn require_complete(summary: &Summary, count: u64) -> Result<(), Problem> {
    let made = summary.stages.first().map_or(0, |source| source.records_out);
    let arrived = summary.stages.last().map_or(0, |sink| sink.handled);
    let summed = summary.balanced() && summary.outcome == "completed" && made == count && arrived > 0;
    if summed { Ok(()) } else { Err(format!("the run did not complete: {}", json!(summary)).into()) }
}

fn judged(mut figures: Vec<Figure>, least: f64) -> Vec<Figure> {
    if let Some(rate) = figures.first_mut() {
        rate.target = Some(Target::AtLeast(least));
    }
    figures
}
