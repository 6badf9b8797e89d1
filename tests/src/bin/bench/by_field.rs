use std::borrow::Cow;
use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sage_batch::fields::{DataType, FieldType, Schema, Table};
use sage_batch::{Batch, Origin, Record};
use sage_plan::Capabilities;
use sage_runtime::engine::{PipelineBuilder, SinkOf, SourceOf};
use sage_sandbox::{Carried, Guest, GuestSpec, KeyedState, Loaded, Sandbox, SandboxOptions};
use serde::{Deserialize, Serialize};

use crate::boundary::spec;
use crate::clock::{process_cpu_time, thread_cpu_time};
use crate::figure::{Effort, Figure, Problem, Target};
use crate::place::Place;
use crate::readings::write_readings;
use crate::throughput::require_complete;

/// The temperature above which about half of the readings stay.
const ABOVE: f64 = 15.5;

/// JSON lines file → map by field → filter by field → file, in turns with a native program that does the same with
/// serde_json.
pub(crate) fn json_lines(place: &Place, effort: Effort) -> Result<Vec<Figure>, Problem> {
    let count = effort.pick(1_000_000, 200_000);
    let (input, output) = (place.scratch("readings.jsonl"), place.scratch("hot.jsonl"));
    let native_output = place.scratch("hot-native.jsonl");
    write_readings(&input, count)?;
    let (map, filter) = (place.operator("celsius")?, place.operator("hot")?);
    let (mut rates, mut native_rates, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..effort.pick(7, 2) {
        let job = PipelineBuilder::new("json-lines-by-field")
            .from_source("source", SourceOf::file(&input.display().to_string(), "jsonl"))
            .map("map", &map)
            .filter("filter", &filter)
            .config(serde_json::Map::from_iter([("above".to_owned(), ABOVE.into())]))
            .sink("sink", SinkOf::file(&output.display().to_string()))
            .build(place.job_options())?;
        let before = process_cpu_time();
        let summary = job.start()?.wait();
        let spent = process_cpu_time().saturating_sub(before);
        require_complete(&summary, count)?;
        let before = process_cpu_time();
        native(&input, &native_output)?;
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
    let name = "JSON lines file, map and filter by field, file: 136 B";
    Ok(vec![
        Figure::of(name, "M records/CPU-s", rates).target(Target::AtLeast(3.3)),
        Figure::of("the same natively with serde_json", "M records/CPU-s", native_rates),
        Figure::of("CPU by field / native", "×", ratios).target(Target::AtMost(1.0)),
    ])
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
fn native(input: &Path, output: &Path) -> Result<(), Problem> {
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
        if celsius > ABOVE {
            serde_json::to_writer(&mut output, &Celsius { sensor: &reading.sensor, celsius })?;
            output.write_all(b"\n")?;
        }
    }
    output.flush()?;
    Ok(())
}

/// Rows of a batch for which there are targets.
const ROWS: [usize; 3] = [256, 1024, 4096];

/// Cost for each record of one call of a map and of a filter by field.
pub(crate) fn boundary(place: &Place, effort: Effort) -> Result<Vec<Figure>, Problem> {
    let sandbox = Sandbox::new(SandboxOptions::default())?;
    let load = |name| -> Result<_, Problem> { Ok(sandbox.load(&place.operator(name)?, &Capabilities::default())?) };
    let (map, filter) = (load("celsius")?, load("hot")?);
    let mut figures = Vec::new();
    for rows in ROWS {
        let readings = batch(rows, "fahrenheit")?;
        let celsius = batch(rows, "celsius")?;
        let (mut map, mut filter) = (start(&map, "{}")?, start(&filter, "{\"above\":50.0}")?);
        let rounds = effort.pick(9, 3);
        let (mut mapped, mut filtered) = (Vec::new(), Vec::new());
        let calls = (1 << 22) / rows;
        for _ in 0..=rounds {
            mapped.push(turn(calls, rows, || Ok(map.call(&readings).map(|_| ())?))?);
            filtered.push(turn(calls, rows, || Ok(filter.call(&celsius).map(|_| ())?))?);
        }
        // The first round lets the memory grow.
        let (mapped, filtered) = (mapped.split_off(1), filtered.split_off(1));
        let judged = |figure: Figure, most| if rows == 1024 { figure.target(Target::AtMost(most)) } else { figure };
        figures.push(judged(Figure::of(format!("map by field, text and f64 × {rows}"), "ns/record", mapped), 6.0));
        figures.push(judged(Figure::of(format!("filter by field, f64 × {rows}"), "ns/record", filtered), 2.0));
    }
    Ok(figures)
}

/// Readings with their fields: a sensor and a number.
fn batch(rows: usize, number: &str) -> Result<Batch, Problem> {
    let field =
        |name: &str, data_type| FieldType { name: name.to_owned(), data_type, nullable: false, docs: String::new() };
    let schema = Schema::new(vec![field("sensor", DataType::String), field(number, DataType::F64)])?;
    let (mut batch, mut table) = (Batch::new(), Table::new(Arc::new(schema)));
    for row in 0..rows {
        // All records have the same shape.
        let _ = batch.push(Record::of(b"", Origin::new(0, row as u64)));
        for at in 0..2 {
            let Some(column) = table.field_mut(at) else { continue };
            if at == 0 {
                column.push_str(&format!("sensor-{:04}", row % 1000))
            } else {
                column.push_f64(row as f64 % 100.0)
            }
        }
        if !table.finish_row() {
            return Err("a row that is not whole".into());
        }
    }
    batch.set_fields(&mut table);
    Ok(batch)
}

fn start(loaded: &Arc<Loaded>, config: &str) -> Result<Guest, Problem> {
    let spec = GuestSpec { config: config.into(), ..spec() };
    let carried = Carried::new(KeyedState::new(Arc::clone(&spec.budget)), None);
    Guest::start(loaded, &spec, carried).map_err(|(failure, _)| failure.into())
}

/// CPU time of this thread for each record, in nanoseconds.
fn turn(calls: usize, rows: usize, mut call: impl FnMut() -> Result<(), Problem>) -> Result<f64, Problem> {
    let before = thread_cpu_time();
    for _ in 0..calls {
        call()?;
    }
    Ok(thread_cpu_time().saturating_sub(before).as_nanos() as f64 / (calls * rows) as f64)
}
