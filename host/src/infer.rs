use std::path::{Path, PathBuf};

use serde_json::json;

use super::ExitCode;
use super::failure::Failure;
use super::field_json::field_json;
use super::infer_args::{InferArguments, InferFormat};
use super::printer::Printer;
use sage_batch::Batch;
use sage_batch::fields::{DataType, FieldType, Schema};
use sage_formats::infer::Inference;
use sage_plan::{Catalog, Limits, SourceSpec, Work, config};
use sage_runtime::connector::{ConnectorError, Filled, open_source};
use sage_text::plain_path;

/// The command `infer`: proposes the `schema` of a source from the records of a file.
pub(super) fn infer(arguments: &InferArguments, printer: Printer) -> Result<(), Failure> {
    let format = arguments.format.unwrap_or_else(|| format_of(&arguments.file));
    let mut records = Records::open(&arguments.file, format, arguments.delimiter)?;
    let mut inference = Inference::new();
    let mut seen: u64 = 0;
    while let Some(batch) = records.next(arguments.records - seen)? {
        for (row, record) in batch.payloads().iter().enumerate() {
            let place = || records.source.describe(seen + row as u64);
            look_at(&mut inference, record, format).map_err(|what| refused(format!("{}: {what}", place())))?;
        }
        seen += batch.len() as u64;
        if seen >= arguments.records {
            break;
        }
    }
    let schema = inference.schema();
    if schema.fields().is_empty() {
        return Err(refused(format!("{} has no record with a field", plain_path(&arguments.file)))
            .hint("a file without records tells nothing about its fields"));
    }
    let fields: Vec<_> = schema.fields().iter().map(field_json).collect();
    printer.result(|| toml(&schema, seen), &json!({ "records": seen, "schema": fields }))
}

/// The records of a file, read as a pipeline would read them.
struct Records {
    source: Box<dyn sage_runtime::connector::Source>,
    ended: bool,
}

impl Records {
    fn open(file: &Path, format: InferFormat, delimiter: Option<char>) -> Result<Self, Failure> {
        let spec = spec(file, format, delimiter)?;
        let source = open_source(&spec, 0, Limits::default().record_bytes).map_err(|error| unreadable(&error))?;
        Ok(Self { source, ended: false })
    }

    /// The next records, at most `most`. `None` at the end.
    fn next(&mut self, most: u64) -> Result<Option<Batch>, Failure> {
        let mut batch = Batch::new();
        while !self.ended {
            let most = usize::try_from(most).unwrap_or(usize::MAX).min(4096);
            match self.source.fill(&mut batch, most, 1 << 20).map_err(|error| unreadable(&error))? {
                Filled::End => self.ended = true,
                Filled::More | Filled::Idle(_) => {}
            }
            if !batch.is_empty() {
                return Ok(Some(batch));
            }
        }
        Ok(None)
    }
}

/// The source that a pipeline file with this file would have.
fn spec(file: &Path, format: InferFormat, delimiter: Option<char>) -> Result<SourceSpec, Failure> {
    let file = std::path::absolute(file).unwrap_or_else(|_| PathBuf::from(file));
    let path = file.to_str().ok_or_else(|| refused(format!("the path {} is not UTF-8", plain_path(&file))))?;
    let mut table = toml::Table::new();
    table.insert("path".to_owned(), escaped(path).into());
    table.insert("format".to_owned(), format.name().into());
    if let Some(delimiter) = delimiter.or_else(|| has_ending(&file, ".tsv").then_some('\t')) {
        table.insert("delimiter".to_owned(), delimiter.to_string().into());
    }
    let text = format!(
        "[[source]]\nname = \"file\"\nfile = {}\n[[sink]]\nname = \"none\"\ninput = \"file\"\ndiscard = {{}}\n",
        toml::Value::Table(table)
    );
    let parsed = config::parse("infer", text.as_bytes());
    let plan = sage_plan::validate_parsed(parsed, &Catalog::default(), Path::new("/")).map_err(|errors| {
        let first = errors.iter().next().map_or_else(String::new, |error| error.message.clone());
        refused(first)
    })?;
    let found = plan.stages().find_map(|(_, stage)| match &stage.work {
        Work::Source(spec) => Some(spec.clone()),
        _ => None,
    });
    found.ok_or_else(|| refused("the file cannot be a source".to_owned()))
}

/// A path in which no character has a meaning for patterns.
fn escaped(path: &str) -> String {
    path.chars().fold(String::new(), |mut out, letter| {
        match letter {
            '*' | '?' | '[' | ']' => out.extend(['[', letter, ']']),
            _ => out.push(letter),
        }
        out
    })
}

fn format_of(file: &Path) -> InferFormat {
    if has_ending(file, ".csv") || has_ending(file, ".tsv") { InferFormat::Csv } else { InferFormat::Jsonl }
}

/// Whether the file's name has this ending, before that of a compression.
fn has_ending(file: &Path, ending: &str) -> bool {
    let name = file.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    name.trim_end_matches(".gz").trim_end_matches(".zst").ends_with(ending)
}

/// Adds a record. A row of CSV arrives as a JSON object of texts.
fn look_at(inference: &mut Inference, record: &[u8], format: InferFormat) -> Result<(), String> {
    match format {
        InferFormat::Jsonl => inference.add_json(record).map_err(|error| error.to_string()),
        InferFormat::Csv => {
            let row: serde_json::Map<String, serde_json::Value> =
                serde_json::from_slice(record).map_err(|error| error.to_string())?;
            inference.add_csv_header(row.keys().map(String::as_bytes));
            inference.add_csv_row(row.values().map(|cell| cell.as_str().unwrap_or_default().as_bytes()));
            Ok(())
        }
    }
}

/// The schema as a pipeline file has it.
fn toml(schema: &Schema, records: u64) -> String {
    let entries: Vec<String> = schema.fields().iter().map(entry).collect();
    let one_line = format!("schema = {{ {} }}", entries.join(", "));
    let comment = format!("# from {records} record{}\n", if records == 1 { "" } else { "s" });
    let body = if one_line.len() <= 100 { one_line } else { format!("[source.schema]\n{}", entries.join("\n")) };
    comment + &body + "\n"
}

/// A field as an entry of a table: `at = "timestamp?"`, `place = { lat = "f64", lon = "f64" }`.
fn entry(field: &FieldType) -> String {
    let is_bare = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-');
    let bare = !field.name.is_empty() && field.name.chars().all(is_bare);
    let key = if bare { field.name.clone() } else { toml::Value::String(field.name.clone()).to_string() };
    let mark = if field.nullable { "?" } else { "" };
    let DataType::Struct(members) = &field.data_type else {
        return format!("{key} = \"{}{mark}\"", field.data_type);
    };
    let entries: Vec<String> = members.fields().iter().map(entry).collect();
    let table = format!("{{ {} }}", entries.join(", "));
    match (field.nullable, members.get("type").is_some()) {
        (true, _) => format!("{key} = {{ type = {table}, null = true }}"),
        // With a member of this name, the table would be the long form of a field.
        (false, true) => format!("{key} = {{ type = {table} }}"),
        (false, false) => format!("{key} = {table}"),
    }
}

fn refused(message: String) -> Failure {
    Failure::new(ExitCode::InvalidUsage, message)
}

fn unreadable(error: &ConnectorError) -> Failure {
    let failure = refused(error.in_full());
    match &error.hint {
        Some(hint) => failure.hint(hint.clone()),
        None => failure,
    }
}
