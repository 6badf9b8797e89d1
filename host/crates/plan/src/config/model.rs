use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::table::Table;
use super::{Diagnostic, Diagnostics, Spanned, choose, format_duration, resolve};

/// A `[model.NAME]` of the pipeline file or of `host.toml`, with every value in its range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// Name by which guests open the model.
    pub name: Spanned<String>,
    /// Path of the ONNX file. A path of `host.toml` is resolved against the folder of that file.
    pub path: Spanned<String>,
    /// SHA-256 digest that the file must have.
    pub sha256: Option<[u8; 32]>,
    /// Library that runs the model.
    pub backend: BackendChoice,
    /// Whether the rows of calls may be combined and split.
    pub rows: RowsChoice,
    /// Rows of one run at most. A larger call is split if its rows are independent, and refused otherwise.
    pub max_rows: u32,
    /// Longest time that a call waits for other calls to be batched with.
    pub max_delay: Duration,
    /// Whether calls are batched by rows. `None` measures, when the model is loaded, whether batching is
    /// faster.
    pub batching: Option<bool>,
    /// Whether each call runs alone, so that a row's answer never depends on other rows in the run.
    pub deterministic: bool,
    /// Bytes of device memory that a run takes beside the weights.
    pub workspace: u64,
}

/// Library that runs a model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BackendChoice {
    /// The default of the device: ONNX Runtime on a CUDA device, tract on a CPU device that names no library.
    #[default]
    Auto,
    /// tract.
    Tract,
    /// ONNX Runtime.
    Onnxruntime,
    /// No library: the model is simulated. Only on a device of kind `fake`, which runs no other models.
    Fake,
}

/// Whether the rows of a model's calls may be combined with rows of other calls, and split.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RowsChoice {
    /// Allowed if the host shows that the rows are independent: from the operators of the model's graph, and by
    /// a test with random rows among random other rows when the model is loaded.
    #[default]
    Shown,
    /// Allowed: the model's owner states that no row's answer depends on another row.
    Independent,
    /// Not allowed: each call runs whole and alone.
    Whole,
}

impl RowsChoice {
    /// All values, with their names in a file.
    pub const NAMES: [(&'static str, Self); 3] =
        [("shown", Self::Shown), ("independent", Self::Independent), ("whole", Self::Whole)];
}

impl BackendChoice {
    /// All values, with their names in a file.
    pub const NAMES: [(&'static str, Self); 4] =
        [("auto", Self::Auto), ("tract", Self::Tract), ("onnxruntime", Self::Onnxruntime), ("fake", Self::Fake)];
}

impl BackendChoice {
    /// The name in a file.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, choice)| *choice == self).map_or("auto", |(name, _)| name)
    }
}

impl Model {
    /// Default of the rows of one run.
    pub const DEFAULT_MAX_ROWS: u32 = 32;
    /// Default of the device memory beside the weights, in bytes.
    pub const DEFAULT_WORKSPACE: u64 = 256 << 20;
    /// Rows of one run at most: as many as one call may have, because a call that runs whole may be that long.
    const MOST_ROWS: u32 = 1 << 18;
    /// Longest `max_delay`. A longer wait costs more than batching gains.
    const LONGEST_DELAY: Duration = Duration::from_secs(1);
    /// Longest name, in bytes. The name becomes a metric label.
    const LONGEST_NAME: usize = 64;
}

/// Reads the tables below `[model]`.
pub(super) fn read_models(root: &mut Table<'_, '_>, errors: &mut Diagnostics) -> Vec<Model> {
    let Some(models) = root.table("model", errors) else { return Vec::new() };
    let mut read = Vec::new();
    for (name, node) in models.entries() {
        let place = format!("[model.{}]", name.value);
        if let Some(table) = models.table_of(&name.value, node, errors) {
            read.extend(model(name, table.called(&place), errors));
        }
    }
    read
}

/// The models of `host.toml`: each path is resolved against the folder of that file, and the places are
/// removed, because messages are about the pipeline file.
pub(super) fn of_the_host(models: Vec<Model>, base: &Path) -> Vec<Model> {
    let nowhere = |text: String| Spanned { value: text, span: None };
    models
        .into_iter()
        .map(|model| Model {
            name: nowhere(model.name.value),
            path: nowhere(resolve(base, &model.path.value).to_string_lossy().into_owned()),
            ..model
        })
        .collect()
}

fn model(name: Spanned<String>, mut table: Table<'_, '_>, errors: &mut Diagnostics) -> Option<Model> {
    check_name(&name, errors);
    let path = table.string("path", errors);
    if path.is_none() && table.key_span("path").is_none() {
        table.missing("path", "the ONNX file: path = \"model.onnx\"", errors);
    }
    if let Some(empty) = path.as_ref().filter(|path| path.value.is_empty()) {
        errors.push(Diagnostic::new(format!("path of {} is empty", table.place())).on(empty));
    }
    let sha256 = table.string("sha256", errors).and_then(|hex| digest(&hex, table.place(), errors));
    let backend = table.string("backend", errors).and_then(|word| backend(&word, table.place(), errors));
    let rows = table
        .string("rows", errors)
        .and_then(|word| choose("rows", table.place(), &word, &RowsChoice::NAMES, errors))
        .unwrap_or_default();
    let max_rows = table.count("max_rows", errors).and_then(|rows| max_rows(&rows, table.place(), errors));
    let max_delay = table.duration("max_delay", errors).and_then(|delay| {
        if delay.value > Model::LONGEST_DELAY {
            let message = format!("max_delay of {} is {}", table.place(), format_duration(delay.value));
            errors.push(
                Diagnostic::new(message).on(&delay).hint(format!("at most {}", format_duration(Model::LONGEST_DELAY))),
            );
            return None;
        }
        Some(delay.value)
    });
    let batching = table.boolean("batching", errors);
    let deterministic = table.boolean("deterministic", errors).unwrap_or(false);
    if deterministic && batching == Some(true) {
        let message = format!("{} is deterministic and has batching = true", table.place());
        let hint = "a row's answer depends on what it runs with: leave one of the two out";
        errors.push(Diagnostic::new(message).at(table.key_span("batching")).hint(hint));
    }
    if rows == RowsChoice::Whole && batching == Some(true) {
        let message = format!("{} has rows = \"whole\" and batching = true", table.place());
        let hint = "calls that run whole run alone: leave one of the two out";
        errors.push(Diagnostic::new(message).at(table.key_span("batching")).hint(hint));
    }
    let workspace = table.size("workspace", errors).map_or(Model::DEFAULT_WORKSPACE, |size| size.value);
    table.finish(errors);
    Some(Model {
        name,
        path: path?,
        sha256,
        backend: backend.unwrap_or_default(),
        rows,
        max_rows: max_rows.unwrap_or(Model::DEFAULT_MAX_ROWS),
        max_delay: max_delay.unwrap_or_default(),
        batching,
        deterministic,
        workspace,
    })
}

fn check_name(name: &Spanned<String>, errors: &mut Diagnostics) {
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let length = name.value.len();
    if length == 0 || length > Model::LONGEST_NAME || !name.value.chars().all(fine) {
        let message = format!("\"{}\" is no name for a model", name.value.escape_debug());
        let hint = format!("1 to {} letters, digits, _, - and dots", Model::LONGEST_NAME);
        errors.push(Diagnostic::new(message).on(name).hint(hint));
    }
}

fn digest(hex: &Spanned<String>, place: &str, errors: &mut Diagnostics) -> Option<[u8; 32]> {
    let digits: Option<Vec<u8>> =
        hex.value.chars().map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let bytes: Option<Vec<u8>> = digits.filter(|digits| digits.len() == 64).map(|digits| {
        let (pairs, _) = digits.as_chunks::<2>();
        pairs.iter().map(|[high, low]| high << 4 | low).collect()
    });
    let read = bytes.and_then(|bytes| bytes.try_into().ok());
    if read.is_none() {
        let message = format!("sha256 of {place} is no SHA-256 digest");
        errors.push(Diagnostic::new(message).on(hex).hint("64 hexadecimal digits, as sha256sum prints them"));
    }
    read
}

pub(super) fn backend(word: &Spanned<String>, place: &str, errors: &mut Diagnostics) -> Option<BackendChoice> {
    choose("backend", place, word, &BackendChoice::NAMES, errors)
}

fn max_rows(rows: &Spanned<u64>, place: &str, errors: &mut Diagnostics) -> Option<u32> {
    let found = u32::try_from(rows.value).ok().filter(|rows| (1..=Model::MOST_ROWS).contains(rows));
    if found.is_none() {
        let message = format!("max_rows of {place} is {}", rows.value);
        errors.push(Diagnostic::new(message).on(rows).hint(format!("1 to {}", Model::MOST_ROWS)));
    }
    found
}
