use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::ExitCode;
use super::failure::Failure;
use super::inspect_rows::list;
use super::printer::Printer;
use sage_models::{
    Dimension, ExamineElsewhere as _, ExamineLimits, Examined, ModelError, ModelFile, RowIndependence, TensorSpec,
    Trial, Tried,
};
use sage_plan::{GraphRows, RowsChoice};
use sage_runtime::worker::inspect_model::OneShotInspector;
use sage_text::{plain_text, short_size};

/// The command `inspect` for models: describes a model, and whether tract can run it.
pub(super) fn inspect_model(path: &Path, printer: Printer) -> Result<(), Failure> {
    let file = ModelFile::read(path, ModelFile::MOST_BYTES).map_err(|error| refusal(path, &error))?;
    let examined = examine(&file).map_err(|error| refusal(path, &error))?;
    printer.result(|| text(path, &file, &examined), &as_json(&file, &examined))
}

/// The running program inspects models in child processes, even if its file was replaced in the meantime.
fn examine(file: &ModelFile) -> Result<Examined, ModelError> {
    let examiner = OneShotInspector::new("/proc/self/exe");
    let limits = ExamineLimits::of_file(file.bytes().len() as u64);
    match examiner.examine(file.bytes(), Trial::Wanted, limits) {
        // The contents of the file can be reported even if the trial run broke the process.
        Err(broke @ (ModelError::TimedOut(_) | ModelError::OutOfMemory(_) | ModelError::Died(_))) => {
            let examined = examiner.examine(file.bytes(), Trial::NotWanted, limits).map_err(|_| broke.clone())?;
            Ok(Examined { tried: Some(Tried::Refused(broke.to_string())), ..examined })
        }
        outcome => outcome,
    }
}

fn refusal(path: &Path, error: &ModelError) -> Failure {
    match error {
        ModelError::Unavailable(_) => Failure::of(ExitCode::InternalFault, error),
        ModelError::Unreadable { .. } | ModelError::TooLarge { .. } | ModelError::Digest { .. } => {
            Failure::of(ExitCode::InvalidUsage, error)
        }
        _ => Failure::invalid(format!("{} is no model that can be used: {}", path.display(), line(&error.to_string()))),
    }
}

fn text(path: &Path, file: &ModelFile, examined: &Examined) -> String {
    let inspection = &examined.inspection;
    let mut text = String::new();
    let mut row = |name: &str, value: &str| {
        let name = if name.is_empty() { String::new() } else { format!("{name}:") };
        let _ = writeln!(text, "{name:<11} {}", line(value));
    };
    let specs =
        |specs: &[TensorSpec]| -> Vec<String> { specs.iter().map(|spec| format!("{} {spec}", spec.name)).collect() };
    row("model", &path.display().to_string());
    list(&mut row, "inputs", &specs(&inspection.facts.inputs));
    list(&mut row, "outputs", &specs(&inspection.facts.outputs));
    row("weights", &short_size(inspection.facts.weight_bytes));
    row("size", &short_size(file.bytes().len() as u64));
    row("sha256", &file.sha256_hex());
    let sets: Vec<String> =
        inspection.operator_sets.iter().map(|(domain, version)| format!("{domain} {version}")).collect();
    row("operators", &inspection.operators.join(", "));
    list(&mut row, "from", &sets);
    row("producer", inspection.producer.as_deref().unwrap_or("says nothing"));
    for (key, value) in &inspection.metadata {
        row("metadata", &format!("{key} = {value}"));
    }
    row("rows", &rows(examined));
    row("tract", &tried(examined.tried.as_ref()));
    text
}

/// Whether rows of several calls may be joined, if the pipeline file does not declare it.
fn rows(examined: &Examined) -> String {
    let graph = &examined.inspection.facts.rows;
    match (graph, &examined.tried) {
        (GraphRows::ByOperators, Some(Tried::Loaded { takes_rows: true, .. })) => {
            "independent: shown by the graph's operators, and by random rows alone and in batches".to_owned()
        }
        _ => RowIndependence::expected(RowsChoice::Shown, graph).to_string(),
    }
}

fn tried(tried: Option<&Tried>) -> String {
    match tried {
        None => "not tried".to_owned(),
        Some(Tried::Refused(reason)) => format!("does not run: {reason}"),
        Some(Tried::Loaded { load, run, takes_rows, memory }) => {
            let ran = match run {
                Some(run) => format!("runs, one row in {}", milliseconds(*run)),
                None => "loads; not run, because the sizes of its free dimensions are unknown".to_owned(),
            };
            let rows = if *takes_rows { ", takes several rows at once" } else { "" };
            let memory =
                memory.map_or_else(String::new, |bytes| format!(", at most {} with the program", short_size(bytes)));
            format!("{ran}{rows} (loaded in {}{memory})", milliseconds(*load))
        }
    }
}

fn as_json(file: &ModelFile, examined: &Examined) -> Value {
    let inspection = &examined.inspection;
    let specs = |specs: &[TensorSpec]| -> Vec<Value> { specs.iter().map(spec_as_json).collect() };
    let tract = examined.tried.as_ref().map(|tried| match tried {
        Tried::Refused(reason) => json!({ "loads": false, "reason": reason }),
        Tried::Loaded { load, run, takes_rows, memory } => json!({
            "loads": true,
            "load_seconds": load.as_secs_f64(),
            "row_seconds": run.map(|run| run.as_secs_f64()),
            "takes_rows": takes_rows,
            "memory_bytes": memory,
        }),
    });
    json!({
        "inputs": specs(&inspection.facts.inputs),
        "outputs": specs(&inspection.facts.outputs),
        "weight_bytes": inspection.facts.weight_bytes,
        "bytes": file.bytes().len(),
        "sha256": file.sha256_hex(),
        "ir_version": inspection.ir_version,
        "operator_sets": inspection.operator_sets,
        "operators": inspection.operators,
        "producer": inspection.producer,
        "metadata": inspection.metadata,
        "rows": {
            "independent_by_graph": inspection.facts.rows == GraphRows::ByOperators,
            "says": rows(examined),
        },
        "tract": tract,
    })
}

/// A dimension is a number, or the name of a free dimension: "" if it has no name.
fn spec_as_json(spec: &TensorSpec) -> Value {
    let dimension = |dimension: &Dimension| match dimension {
        Dimension::Fixed(size) => json!(size),
        Dimension::Free(name) => json!(name),
    };
    let shape: Vec<Value> = spec.shape.iter().map(dimension).collect();
    json!({ "name": spec.name, "type": spec.dtype, "shape": shape })
}

fn milliseconds(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1e3)
}

/// Untrusted text in one line.
fn line(said: &str) -> String {
    plain_text(said).replace('\n', "\\n")
}
