use std::path::Path;
use std::time::Duration;

use super::table::Table;
use super::{
    BackendChoice, Diagnostic, Diagnostics, ModelSpec, RowsChoice, Span, Spanned, choose, format_duration, resolve,
};

/// A `[model.NAME]` of the pipeline file or of `host.toml`, with every value in its range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// The model. Its path is as written; a path of `host.toml` is resolved against the folder of that file.
    pub spec: ModelSpec,
    /// Place of the name in the pipeline file.
    pub name_span: Option<Span>,
    /// Place of the path in the pipeline file.
    pub path_span: Option<Span>,
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
    let resolved = |spec: ModelSpec| ModelSpec { path: resolve(base, &spec.path), ..spec };
    let model = |Model { spec, .. }| Model { spec: resolved(spec), name_span: None, path_span: None };
    models.into_iter().map(model).collect()
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
    let path = path?;
    let spec = ModelSpec {
        name: name.value,
        path: path.value.into(),
        sha256,
        backend: backend.unwrap_or_default(),
        rows,
        graph_rows: None,
        max_rows: max_rows.unwrap_or(Model::DEFAULT_MAX_ROWS),
        max_delay: max_delay.unwrap_or_default(),
        batching,
        deterministic,
        workspace,
    };
    Some(Model { spec, name_span: name.span, path_span: path.span })
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
