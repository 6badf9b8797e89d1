use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sage_plan::config::Resources;
use sage_runtime::engine::{Job, PipelineBuilder, SinkOf, SourceOf};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::clock::process_cpu_time;
use crate::figure::{Effort, Figure, Problem, Target};
use crate::place::Place;
use crate::throughput::require_complete;

/// Operators of each form: map, filter, key-by.
const BYTES: [&str; 4] = ["flights_parse", "flights_flown", "flights_carrier", "flights_delay"];
const BY_FIELD: [&str; 4] = ["flights_arrival", "flights_arrived", "flights_by_carrier", "flights_mean"];

/// CSV file → map → filter → key-by → totals → file: with operators of bytes, by field, and in a native program with
/// the crates csv and serde, in turns.
pub(crate) fn flights(place: &Place, effort: Effort) -> Result<Vec<Figure>, Problem> {
    let (input, count) = write_flights(place, effort.pick(30, 8))?;
    let output = |form: &str| place.scratch(&format!("delay-{form}.jsonl"));
    let (mut bytes, mut by_field, mut native_rates) = (Vec::new(), Vec::new(), Vec::new());
    let (mut gains, mut ratios) = (Vec::new(), Vec::new());
    for _ in 0..effort.pick(5, 2) {
        let spent_bytes = run(place, BYTES, &input, &output("bytes"), count)?;
        let spent = run(place, BY_FIELD, &input, &output("by-field"), count)?;
        let before = process_cpu_time();
        native(&input, &output("native"))?;
        let spent_native = process_cpu_time().saturating_sub(before);
        let expected = sorted(&output("native"))?;
        if sorted(&output("by-field"))? != expected || sorted(&output("bytes"))? != expected {
            return Err("the pipelines and the native program do not write the same totals".into());
        }
        let rate = |spent: Duration| count as f64 / spent.as_secs_f64() / 1e6;
        bytes.push(rate(spent_bytes));
        by_field.push(rate(spent));
        native_rates.push(rate(spent_native));
        gains.push(spent_bytes.as_secs_f64() / spent.as_secs_f64());
        ratios.push(spent.as_secs_f64() / spent_native.as_secs_f64());
    }
    std::fs::remove_file(input)?;
    Ok(vec![
        Figure::of("CSV flights by field: 92 B, 2 of 19 columns", "M records/CPU-s", by_field),
        Figure::of("the same with operators of bytes", "M records/CPU-s", bytes),
        Figure::of("the same natively with csv and serde", "M records/CPU-s", native_rates),
        Figure::of("records per CPU by field / bytes", "×", gains).target(Target::AtLeast(2.5)),
        Figure::of("CPU by field / native", "×", ratios),
    ])
}

/// Writes a file with the flights of the example, `times` times. Returns its path and the number of flights.
pub(crate) fn write_flights(place: &Place, times: usize) -> Result<(PathBuf, u64), Problem> {
    let text = std::fs::read_to_string(place.repository().join("examples/flights/flights-2013-01.csv"))?;
    let (header, rows) = text.split_once('\n').ok_or("the flights have no header")?;
    let path = place.scratch("flights.csv");
    let mut file = BufWriter::new(File::create(&path)?);
    writeln!(file, "{header}")?;
    for _ in 0..times {
        file.write_all(rows.as_bytes())?;
    }
    file.flush()?;
    Ok((path, (times * rows.lines().count()) as u64))
}

/// CPU time of a run of the pipeline.
fn run(place: &Place, operators: [&str; 4], input: &Path, output: &Path, count: u64) -> Result<Duration, Problem> {
    let job = pipeline(place, operators, input, output)?;
    let before = process_cpu_time();
    let summary = job.start()?.wait();
    let spent = process_cpu_time().saturating_sub(before);
    require_complete(&summary, count)?;
    Ok(spent)
}

fn pipeline(
    place: &Place,
    [map, filter, key_by, process]: [&str; 4],
    input: &Path,
    output: &Path,
) -> Result<Job, Problem> {
    let job = PipelineBuilder::new("flights")
        .from_source("source", SourceOf::file(&input.display().to_string(), "csv"))
        .map("map", place.operator(map)?)
        .filter("filter", place.operator(filter)?)
        .key_by("key-by", place.operator(key_by)?)
        .process("delay", place.operator(process)?)
        .partition("key")
        .parallelism(2)
        .resources(Resources { memory: Some((64 << 20).into()), ..Resources::default() })
        .sink("sink", SinkOf::file(&output.display().to_string()))
        .build(place.job_options())?;
    Ok(job)
}

fn sorted(path: &Path) -> Result<Vec<String>, Problem> {
    let text = std::fs::read_to_string(path)?;
    let values: Result<Vec<Value>, _> = text.lines().map(serde_json::from_str).collect();
    let mut lines: Vec<String> = values?.iter().map(Value::to_string).collect();
    lines.sort();
    Ok(lines)
}

#[derive(Deserialize)]
struct Flight<'a> {
    carrier: &'a str,
    arr_delay: &'a str,
}

/// The pipeline as a program of its own.
fn native(input: &Path, output: &Path) -> Result<(), Problem> {
    let mut reader = csv::ReaderBuilder::new().buffer_capacity(64 << 10).from_path(input)?;
    let header = reader.byte_headers()?.clone();
    let mut totals: BTreeMap<String, (u64, f64)> = BTreeMap::new();
    let mut row = csv::ByteRecord::new();
    while reader.read_byte_record(&mut row)? {
        let flight: Flight<'_> = row.deserialize(Some(&header))?;
        if flight.arr_delay == "NA" {
            continue;
        }
        let minutes: f64 = flight.arr_delay.parse()?;
        match totals.get_mut(flight.carrier) {
            Some(total) => *total = (total.0 + 1, total.1 + minutes),
            None => {
                totals.insert(flight.carrier.to_owned(), (1, minutes));
            }
        }
    }
    let mut output = BufWriter::new(File::create(output)?);
    for (carrier, (flights, minutes)) in totals {
        let mean = (minutes / flights as f64 * 100.0).round() / 100.0;
        writeln!(output, "{}", json!({ "carrier": carrier, "flights": flights, "mean_arr_delay": mean }))?;
    }
    output.flush()?;
    Ok(())
}
