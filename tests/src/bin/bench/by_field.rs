use std::borrow::Cow;
use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::Path;
use std::time::Duration;

use sage_runtime::engine::{PipelineBuilder, SinkOf, SourceOf};
use serde::{Deserialize, Serialize};

use crate::clock::process_cpu_time;
use crate::figure::{Effort, Figure, Problem, Target};
use crate::place::Place;
use crate::readings::write_readings;
use crate::throughput::require_complete;

/// The temperature above which about half of the readings stay.
const ABOVE: f64 = 15.5;

/// JSON lines file → map by field → filter by field → file, in turns with a native program that does the same with
/// serde_json.
pub(crate) fn json_lines(place: &Place, effort: Effort) -> Result<Vec<Figure>, Problem> {
    let [rates, native, ratios] = in_turns(place, effort, &[ABOVE])?;
    let name = "JSON lines file, map and filter by field, file: 136 B";
    Ok(vec![
        Figure::of(name, "M records/CPU-s", rates).target(Target::AtLeast(3.3)),
        Figure::of("the same natively with serde_json", "M records/CPU-s", native),
        Figure::of("CPU by field / native", "×", ratios).target(Target::AtMost(1.0)),
    ])
}

/// The same with a second filter before the other, which keeps all readings.
pub(crate) fn three_operators(place: &Place, effort: Effort) -> Result<Vec<Figure>, Problem> {
    let [rates, native, ratios] = in_turns(place, effort, &[-273.0, ABOVE])?;
    let name = "JSON lines file, map and two filters by field, file: 136 B";
    Ok(vec![
        Figure::of(name, "M records/CPU-s", rates),
        Figure::of("the same natively with serde_json", "M records/CPU-s", native),
        Figure::of("CPU of three operators by field / native", "×", ratios).target(Target::AtMost(1.1)),
    ])
}

/// Rates of the pipeline and of the native program, with a filter for each of `limits`, and the ratios of their times.
fn in_turns(place: &Place, effort: Effort, limits: &[f64]) -> Result<[Vec<f64>; 3], Problem> {
    let count = effort.pick(1_000_000, 200_000);
    let (input, output) = (place.scratch("readings.jsonl"), place.scratch("hot.jsonl"));
    let native_output = place.scratch("hot-native.jsonl");
    write_readings(&input, count)?;
    let (map, filter) = (place.operator("celsius")?, place.operator("hot")?);
    let (mut rates, mut native_rates, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..effort.pick(7, 2) {
        let mut pipeline = PipelineBuilder::new("json-lines-by-field")
            .from_source("source", SourceOf::file(&input.display().to_string(), "jsonl"))
            .map("map", &map);
        for (number, limit) in limits.iter().enumerate() {
            pipeline = pipeline
                .filter(&format!("filter-{number}"), &filter)
                .config(serde_json::Map::from_iter([("above".to_owned(), (*limit).into())]));
        }
        let sink = SinkOf::file(&output.display().to_string());
        let job = pipeline.sink("sink", sink).build(place.job_options())?;
        let before = process_cpu_time();
        let summary = job.start()?.wait();
        let spent = process_cpu_time().saturating_sub(before);
        require_complete(&summary, count)?;
        let before = process_cpu_time();
        native(&input, &native_output, limits)?;
        let native_spent = process_cpu_time().saturating_sub(before);
        if std::fs::read(&output)? != std::fs::read(&native_output)? {
            return Err("the pipeline and the native program do not write the same".into());
        }
        rates.push(rate(count, spent));
        native_rates.push(rate(count, native_spent));
        ratios.push(spent.as_secs_f64() / native_spent.as_secs_f64());
    }
    for file in [input, output, native_output] {
        std::fs::remove_file(file)?;
    }
    Ok([rates, native_rates, ratios])
}

fn rate(count: u64, spent: Duration) -> f64 {
    count as f64 / spent.as_secs_f64() / 1e6
}

#[derive(Deserialize)]
struct Reading<'a> {
    #[serde(borrow)]
    sensor: Cow<'a, str>,
    fahrenheit: f64,
}

#[derive(Serialize)]
struct Celsius<'a> {
    sensor: &'a str,
    celsius: f64,
}

/// The pipeline as a program of its own.
fn native(input: &Path, output: &Path, limits: &[f64]) -> Result<(), Problem> {
    let mut input = BufReader::with_capacity(64 << 10, File::open(input)?);
    let mut output = BufWriter::with_capacity(64 << 10, File::create(output)?);
    let mut line = Vec::new();
    loop {
        line.clear();
        if input.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let reading: Reading<'_> = serde_json::from_slice(&line)?;
        let celsius = ((reading.fahrenheit - 32.0) / 1.8 * 10.0).round() / 10.0;
        if limits.iter().all(|limit| celsius > *limit) {
            serde_json::to_writer(&mut output, &Celsius { sensor: &reading.sensor, celsius })?;
            output.write_all(b"\n")?;
        }
    }
    output.flush()?;
    Ok(())
}
