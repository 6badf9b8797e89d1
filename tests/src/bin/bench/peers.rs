use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use crate::figure::{Effort, Figure, Problem};
use crate::flights::write_flights;
use crate::place::Place;
use crate::readings::write_readings;

/// A program that does the same job, in its own process.
struct Program {
    name: &'static str,
    command: Vec<String>,
    rates: Vec<f64>,
    memory: Vec<f64>,
}

/// The CPU time and memory of a process from its start to its end.
#[derive(Debug, Deserialize)]
struct Used {
    cpu_seconds: f64,
    peak_kibibytes: f64,
}

/// Runs a command and prints what it has used. Python, because the standard library of Rust does not tell it.
const MEASURE: &str = r#"
import json, resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps({"cpu_seconds": used.ru_utime + used.ru_stime, "peak_kibibytes": used.ru_maxrss}))
"#;

const DUCKDB_LINES: &str = r#"
import sys, duckdb
duckdb.execute("SET threads = 1")
duckdb.execute(f"""COPY (SELECT sensor, celsius FROM (
    SELECT sensor, round((fahrenheit - 32) / 1.8, 1) AS celsius
    FROM read_json('{sys.argv[1]}', format = 'newline_delimited', columns = {{sensor: 'VARCHAR', fahrenheit: 'DOUBLE'}})
) WHERE celsius > 15.5) TO '{sys.argv[2]}' (FORMAT json)""")
"#;

const POLARS_LINES: &str = r#"
import os, sys
os.environ["POLARS_MAX_THREADS"] = "1"
import polars as pl
lines = pl.scan_ndjson(sys.argv[1], schema={"sensor": pl.String, "fahrenheit": pl.Float64})
lines = lines.select("sensor", ((pl.col("fahrenheit") - 32) / 1.8).round(1).alias("celsius"))
lines.filter(pl.col("celsius") > 15.5).sink_ndjson(sys.argv[2])
"#;

const DUCKDB_CSV: &str = r#"
import sys, duckdb
duckdb.execute("SET threads = 1")
duckdb.execute(f"""COPY (
    SELECT carrier, count(*) AS flights, round(avg(arr_delay), 2) AS mean_arr_delay
    FROM read_csv('{sys.argv[1]}', nullstr = 'NA') WHERE arr_delay IS NOT NULL GROUP BY carrier
) TO '{sys.argv[2]}' (FORMAT json)""")
"#;

const POLARS_CSV: &str = r#"
import os, sys
os.environ["POLARS_MAX_THREADS"] = "1"
import polars as pl
flights = pl.scan_csv(sys.argv[1], null_values="NA").filter(pl.col("arr_delay").is_not_null())
totals = flights.group_by("carrier").agg(pl.len().alias("flights"), pl.col("arr_delay").mean().round(2).alias("mean_arr_delay"))
totals.sink_ndjson(sys.argv[2])
"#;

/// Whole processes, in turns: this program, DuckDB and Polars, each with one thread for its queries.
pub(crate) fn peers(place: &Place, effort: Effort) -> Result<Vec<Figure>, Problem> {
    let modules = modules()?;
    let (flights, flights_count) = write_flights(place, effort.pick(30, 8))?;
    let (readings, readings_count) = (place.scratch("readings.jsonl"), effort.pick(1_000_000, 200_000));
    write_readings(&readings, readings_count)?;
    let mut figures = Vec::new();
    for (job, input, count, pipeline, scripts) in [
        ("JSON lines", &readings, readings_count, lines_pipeline(place, &readings)?, [DUCKDB_LINES, POLARS_LINES]),
        ("CSV flights", &flights, flights_count, flights_pipeline(place, &flights)?, [DUCKDB_CSV, POLARS_CSV]),
    ] {
        let path = place.scratch("peers.toml");
        std::fs::write(&path, pipeline)?;
        let mut programs = vec![Program::new("sage-host by field", this_program(place, &path)?)];
        for (name, script) in ["DuckDB", "Polars"].into_iter().zip(scripts) {
            let output = place.scratch("peer.jsonl").display().to_string();
            let python = ["python3", "-c", script].map(str::to_owned);
            programs.push(Program::new(name, [&python[..], &[input.display().to_string(), output]].concat()));
        }
        for round in 0..=effort.pick(5, 1) {
            for program in &mut programs {
                let used = program.run(&modules)?;
                // The first round fills caches of files and of components.
                if round > 0 {
                    program.rates.push(count as f64 / used.cpu_seconds / 1e6);
                    program.memory.push(used.peak_kibibytes * 1024.0 / 1e6);
                }
            }
        }
        for Program { name, rates, memory, .. } in programs {
            figures.push(Figure::of(format!("{job}, whole process: {name}"), "M records/CPU-s", rates));
            figures.push(Figure::of(format!("- peak memory of {name}"), "MB", memory));
        }
    }
    Ok(figures)
}

impl Program {
    fn new(name: &'static str, command: Vec<String>) -> Self {
        Self { name, command, rates: Vec::new(), memory: Vec::new() }
    }

    fn run(&self, modules: &Path) -> Result<Used, Problem> {
        let found =
            Command::new("python3").env("PYTHONPATH", modules).args(["-c", MEASURE]).args(&self.command).output()?;
        if !found.status.success() {
            return Err(format!("{}: {}", self.name, String::from_utf8_lossy(&found.stderr)).into());
        }
        Ok(serde_json::from_slice(&found.stdout)?)
    }
}

/// The folder into which `make peers` installs DuckDB and Polars.
fn modules() -> Result<PathBuf, Problem> {
    let home = std::env::var_os("HOME").ok_or("HOME is not set")?;
    let folder = Path::new(&home).join(".cache/sage-host/peers");
    if folder.is_dir() { Ok(folder) } else { Err("DuckDB and Polars are not installed: make peers".into()) }
}

fn this_program(place: &Place, pipeline: &Path) -> Result<Vec<String>, Problem> {
    let path = |path: PathBuf| path.display().to_string();
    Ok([
        path(place.program()?),
        "run".to_owned(),
        pipeline.display().to_string(),
        "--quiet".to_owned(),
        "--cache-folder".to_owned(),
        path(place.scratch("cache")),
        "--lease-folder".to_owned(),
        path(place.scratch("leases")),
    ]
    .to_vec())
}

fn stage(place: &Place, name: &str, input: &str, settings: &str) -> Result<String, Problem> {
    let path = place.operator(name)?;
    Ok(format!("[[operator]]\nname = \"{name}\"\ncomponent = {path:?}\ninput = \"{input}\"\n{settings}\n"))
}

fn ends(place: &Place, input: &Path, format: &str, last: &str) -> String {
    let output = place.scratch("sage.jsonl");
    format!(
        "[[source]]\nname = \"in\"\nfile = {{ path = {input:?}, format = \"{format}\" }}\n\
         [[sink]]\nname = \"out\"\ninput = \"{last}\"\nfile = {{ path = {output:?} }}\n"
    )
}

fn lines_pipeline(place: &Place, input: &Path) -> Result<String, Problem> {
    let stages = [stage(place, "celsius", "in", "")?, stage(place, "hot", "celsius", "config = { above = 15.5 }")?];
    Ok(ends(place, input, "jsonl", "hot") + &stages.concat())
}

fn flights_pipeline(place: &Place, input: &Path) -> Result<String, Problem> {
    let stages = [
        stage(place, "flights_arrival", "in", "")?,
        stage(place, "flights_arrived", "flights_arrival", "")?,
        stage(place, "flights_by_carrier", "flights_arrived", "")?,
        stage(place, "flights_mean", "flights_by_carrier", "partition = \"key\"")?,
    ];
    Ok(ends(place, input, "csv", "flights_mean") + &stages.concat())
}
