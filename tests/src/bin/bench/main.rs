//! `make bench`: the cost of the boundary, of whole pipelines and of starting on this machine, beside the
//! targets.
//!
//! Every figure is the median of several rounds. Figures about work count CPU time instead of wall time,
//! because other programs then disturb them less. Two compared things (such as map and its floor) are
//! measured in turns within the same rounds, so that a slow moment affects both. docs/design/benchmarks.md explains
//! each figure.
//!
//! The program prints a figure that misses its target, and a figure that cannot be measured on this machine;
//! neither makes it fail.

mod boundary;
mod by_field;
mod calls_by_field;
mod checkpoints;
mod clock;
mod figure;
mod flights;
mod floor;
mod hop;
mod inference;
mod isolation;
mod keyed_lines;
mod latency;
mod many;
mod memory;
mod neighbour;
mod peers;
mod place;
mod readings;
mod report;
mod restart;
mod serve;
mod serve_idle;
mod start;
mod throughput;
mod workers;

use std::process::ExitCode;

use figure::{Effort, Figure, Problem};
use place::Place;

/// A measurement: its name, used in the row that says why it could not be made, and its function.
type Measurement = (&'static str, fn(&Place, Effort) -> Result<Vec<Figure>, Problem>);

const MEASUREMENTS: [Measurement; 28] = [
    ("boundary", boundary::boundary),
    ("boundary by field", calls_by_field::boundary),
    ("generate to discard", throughput::in_memory),
    ("JSON lines to file", throughput::json_lines),
    ("JSON lines by field", by_field::json_lines),
    ("three operators by field", by_field::three_operators),
    ("CSV by field", flights::flights),
    ("peers", peers::peers),
    ("keyed count", throughput::keyed_count),
    ("keyed count over 4 instances", throughput::keyed_count_spread),
    ("checkpoints", checkpoints::checkpoints),
    ("latency", latency::latency),
    ("start", start::start),
    ("memory of an instance", memory::memory),
    ("1,000 instances", many::many),
    ("restart", restart::restart),
    ("isolation", isolation::isolation),
    ("hop", hop::hop),
    ("workers", workers::workers),
    ("neighbour", neighbour::neighbour),
    ("serve: submit", serve::submit),
    ("serve: list", serve::list),
    ("serve: against run", serve_idle::against_run),
    ("serve: idle", serve_idle::idle),
    ("inference: overhead", inference::overhead),
    ("inference: batching", inference::batching),
    ("inference: queue", inference::queue),
    ("inference: first result", inference::first_result),
];

fn main() -> ExitCode {
    let mut effort = Effort::Full;
    let mut wanted = Vec::new();
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--quick" => effort = Effort::Quick,
            name if MEASUREMENTS.iter().any(|(known, _)| is_of(known, name)) => wanted.push(argument),
            other => {
                let names: Vec<_> = MEASUREMENTS.iter().map(|(name, _)| format!("{name:?}")).collect();
                eprintln!(
                    "bench: unknown argument {other:?}\nhint: --quick, or the name of a measurement: {}",
                    names.join(", ")
                );
                return ExitCode::from(2);
            }
        }
    }
    match measure(effort, &wanted) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("bench: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// Whether `wanted` is the name of a measurement or of its group, which is the part before a colon.
fn is_of(name: &str, wanted: &str) -> bool {
    name == wanted || name.split_once(": ").is_some_and(|(group, _)| group == wanted)
}

fn measure(effort: Effort, wanted: &[String]) -> Result<(), Problem> {
    let place = Place::find()?;
    let mut figures = Vec::new();
    for (name, measurement) in MEASUREMENTS {
        if !wanted.is_empty() && !wanted.iter().any(|wanted| is_of(name, wanted)) {
            continue;
        }
        eprintln!("bench: measuring {name}");
        let measured = measurement(&place, effort);
        figures.extend(measured.unwrap_or_else(|problem| vec![Figure::skipped(name, &problem)]));
    }
    report::print(&figures);
    // A partial run is only printed; a full run is also saved.
    if wanted.is_empty() { report::save(&figures, effort, place.results()) } else { Ok(()) }
}
