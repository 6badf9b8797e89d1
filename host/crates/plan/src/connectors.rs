use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use glob::Pattern;
use jiff::Timestamp;
use sage_batch::fields::Schema;

use super::chosen_fields;
use super::output_shape::output_shape;
use super::pattern_path::pattern_path;
use super::sink_text::sink_text;
use super::text_source::{compression, no_stamps, not_csv, passes_files, text};
use super::written_schema::{no_schema, source_schema};
use super::{
    Compression, CsvSpec, FileSinkSpec, FileSourceSpec, Format, GenerateSpec, GeneratedTimes, Limits, SinkForm,
    SinkSpec, SinkText, SocketSinkSpec, SocketSpec, SourceSpec, WholeFilesSpec,
};
use crate::config::{
    self, Diagnostic, Diagnostics, FileSink, FileSource, Generate, SocketSink, SourceKind, Spanned, TextFormat, resolve,
};
use sage_text::exact_size;

/// Default payload of a generated record, in bytes: the size in the measurements that this host is tuned with.
const DEFAULT_PAYLOAD: u64 = 128;

/// The name of the format in which each file is one record. Not a [`Format`], because text cannot have it.
const WHOLE: &str = "whole";

/// A built-in source; `None` for a component.
pub(super) fn source(
    place: &str,
    written: &config::Source,
    kind: &SourceKind,
    base: &Path,
    errors: &mut Diagnostics,
) -> Option<SourceSpec> {
    match kind {
        SourceKind::File(file) if file.text.format.as_ref().is_some_and(|format| format.value == WHOLE) => {
            no_stamps(place, "format = \"whole\"", written, errors);
            no_schema(place, "a record of format = \"whole\"", written, errors);
            whole_files(place, written, file, base, errors).map(SourceSpec::WholeFiles)
        }
        SourceKind::File(file) => {
            // Whole files were handled above; the name is listed here only for suggestions.
            let [lines, jsonl, csv] = Format::NAMES.map(|(name, format)| (name, Some(format)));
            let text = text(place, written, &file.text, &[lines, jsonl, csv, (WHOLE, None)], errors);
            let path = source_path(place, &file.path, base, errors);
            let follow = follows(place, file, errors);
            Some(SourceSpec::File(FileSourceSpec { path: path?, text: text?, follow }))
        }
        SourceKind::Stdin(format) => text(place, written, format, &Format::NAMES, errors).map(SourceSpec::Stdin),
        SourceKind::Generate(generated) => {
            no_stamps(place, "a generated record", written, errors);
            no_schema(place, "a generated record", written, errors);
            generate(place, generated, errors).map(SourceSpec::Generate)
        }
        SourceKind::Socket(socket) => {
            no_stamps(place, "a record of a socket", written, errors);
            let path = socket_path(place, &socket.path, base, errors);
            let schema = socket_schema(place, written, errors);
            Some(SourceSpec::Socket(SocketSpec { path: path?, schema: schema? }))
        }
        SourceKind::Provided(name) => {
            no_schema(place, "a record of a source from Rust", written, errors);
            Some(SourceSpec::Provided(name.clone()))
        }
        SourceKind::Component(_) => None,
    }
}

/// The built-in sink that writes a file.
pub(super) fn file_sink(place: &str, written: &FileSink, base: &Path, errors: &mut Diagnostics) -> Option<SinkSpec> {
    let compression = compression(place, written.compression.as_ref(), errors);
    let text = sink_text(place, &written.text, errors);
    let shape = output_shape(place, written, errors);
    if written.path.value.is_empty() || written.path.value.ends_with('/') {
        let message = format!("path of {place} is \"{}\", which names no file", written.path.value);
        errors.push(Diagnostic::new(message).on(&written.path));
        return None;
    }
    if compression == Some(Compression::Found)
        && let Some(ending) = promised(&written.path.value)
    {
        let message = format!("path of {place} ends in .{ending}, and the sink would write plain text to it");
        let hint = ".gz is written as gzip and .zst as zstd; with compression = \"none\" the name is yours";
        errors.push(Diagnostic::new(message).on(&written.path).hint(hint));
        return None;
    }
    Some(SinkSpec::File(FileSinkSpec {
        path: resolve(base, &written.path.value),
        compression: compression?,
        text: text?,
        shape: shape?,
    }))
}

/// Whether a source of text follows its files.
fn follows(place: &str, file: &FileSource, errors: &mut Diagnostics) -> bool {
    let Some(follow) = file.follow.as_ref().filter(|follow| follow.value) else { return false };
    if let Some(packed) = file.text.compression.as_ref().filter(|packed| packed.value != "none") {
        let message = format!("{place} follows its files, and its compression is \"{}\"", packed.value);
        errors
            .push(Diagnostic::new(message).on(packed).on(follow).hint("a file that grows is plain text: leave it out"));
    }
    let is_utf8 = |encoding: &&Spanned<String>| ["utf-8", "utf8"].contains(&&*encoding.value.to_ascii_lowercase());
    if let Some(encoding) = file.text.encoding.as_ref().filter(|encoding| !is_utf8(encoding)) {
        let message = format!("{place} follows its files, and its encoding is \"{}\"", encoding.value);
        errors.push(Diagnostic::new(message).on(encoding).on(follow).hint("a file that grows is read as UTF-8"));
    }
    true
}

/// The built-in sink that gives batches to another program.
pub(super) fn socket_sink(
    place: &str,
    written: &SocketSink,
    base: &Path,
    errors: &mut Diagnostics,
) -> Option<SinkSpec> {
    let before = errors.len();
    let path = socket_path(place, &written.path, base, errors);
    if let Some(fields) = &written.fields {
        chosen_fields::check(place, fields, true, errors);
        for item in fields.list.iter().filter(|item| written.columns && item.value.field != item.value.name) {
            let message = format!("{place} gives columns, and columns keep their names");
            errors.push(Diagnostic::new(message).at(item.span).hint("give the field another name in the program"));
        }
    }
    let form = match (written.columns, &written.fields) {
        (true, _) => SinkForm::Columns,
        (false, Some(_)) => SinkForm::JsonLines,
        (false, None) => SinkForm::Lines,
    };
    let text = SinkText { form, fields: written.fields.clone() };
    let path = path.filter(|_| errors.len() == before)?;
    Some(SinkSpec::Socket(SocketSinkSpec { path, text }))
}

/// The fields of the columns that a program gives. `None` if the schema has an error.
fn socket_schema(place: &str, written: &config::Source, errors: &mut Diagnostics) -> Option<Option<Arc<Schema>>> {
    if written.schema.is_none() {
        return Some(None);
    }
    let schema = source_schema(place, written, Format::JsonLines, &CsvSpec::default(), errors)?;
    Some(Some(Arc::clone(schema.fields())))
}

fn socket_path(place: &str, written: &Spanned<String>, base: &Path, errors: &mut Diagnostics) -> Option<PathBuf> {
    if written.value.is_empty() {
        errors.push(Diagnostic::new(format!("path of {place} is empty")).on(written));
        return None;
    }
    Some(resolve(base, &written.value))
}

fn whole_files(
    place: &str,
    written: &config::Source,
    file: &FileSource,
    base: &Path,
    errors: &mut Diagnostics,
) -> Option<WholeFilesSpec> {
    let TextFormat { compression: packed, encoding, line_end, .. } = &file.text;
    let before = errors.len();
    if let Some(word) = packed
        && compression(place, Some(word), errors).is_some_and(|found| found != Compression::None)
    {
        let message =
            format!("compression of {place} is \"{}\", and format = \"whole\" takes files as they are", word.value);
        errors.push(Diagnostic::new(message).on(word).hint("leave it out: the operator gets the packed bytes"));
    }
    for (key, word) in [("encoding", encoding), ("line_end", line_end)] {
        if let Some(word) = word {
            let message = format!("{place} has a {key}, and format = \"whole\" takes files as they are");
            errors.push(Diagnostic::new(message).on(word).hint("leave it out"));
        }
    }
    if let Some(follow) = file.follow.as_ref().filter(|follow| follow.value) {
        let message = format!("{place} follows its files, and format = \"whole\" takes each file as one record");
        errors.push(
            Diagnostic::new(message).on(follow).hint("follow goes with format = \"lines\", \"jsonl\" or \"csv\""),
        );
    }
    not_csv(place, WHOLE, &file.text, errors);
    let sound = errors.len() == before;
    let path = source_path(place, &file.path, base, errors)?;
    let tolerant = passes_files(written);
    sound.then(|| WholeFilesSpec { path, base: base.to_owned(), tolerant })
}

/// The extension of a file name that promises a format which no sink writes.
fn promised(path: &str) -> Option<&'static str> {
    const ENDINGS: [&str; 14] =
        ["tar.gz", "tar.zst", "tgz", "tzst", "tar", "bz2", "xz", "lz4", "lzma", "lz", "z", "br", "zip", "7z"];
    let path = path.to_ascii_lowercase();
    ENDINGS.into_iter().find(|ending| path.strip_suffix(ending).is_some_and(|name| name.ends_with('.')))
}

/// A path or pattern. Only the written text is a pattern; a folder above it may be called `a[1]` and is taken
/// literally.
fn source_path(place: &str, written: &Spanned<String>, base: &Path, errors: &mut Diagnostics) -> Option<PathBuf> {
    if written.value.is_empty() {
        errors.push(Diagnostic::new(format!("path of {place} is empty")).on(written));
        return None;
    }
    if written.value.contains(['*', '?', '['])
        && let Err(error) = Pattern::new(&written.value)
    {
        let message = format!("path of {place} is not a pattern: {} at character {}", error.msg, error.pos + 1);
        errors.push(Diagnostic::new(message).on(written).hint("[[], [*] and [?] stand for the characters themselves"));
        return None;
    }
    Some(pattern_path(base, &written.value))
}

fn generate(place: &str, written: &Generate, errors: &mut Diagnostics) -> Option<GenerateSpec> {
    let mut sound = true;
    for (key, value) in [("rate", &written.rate), ("keys", &written.keys)] {
        if let Some(value) = value
            && value.value == 0
        {
            let message = format!("{key} of {place} is 0");
            errors.push(Diagnostic::new(message).on(value).hint("at least 1, or leave it out"));
            sound = false;
        }
    }
    let most = most_payload();
    let payload = written.payload_bytes.clone().unwrap_or_else(|| DEFAULT_PAYLOAD.into());
    if payload.value > most {
        let message = format!("payload_bytes of {place} is {}", exact_size(payload.value));
        errors.push(Diagnostic::new(message).on(&payload).hint(format!("at most {}", exact_size(most))));
        sound = false;
    }
    let times = written.times.as_ref().map(|times| generated_times(place, times, errors));
    let times = match times {
        Some(times) => Some(times?),
        None => None,
    };
    let value = |written: &Option<config::Spanned<u64>>| written.as_ref().map(|written| written.value);
    sound.then_some(GenerateSpec {
        count: value(&written.count),
        rate: value(&written.rate),
        payload_bytes: u32::try_from(payload.value).ok()?,
        keys: value(&written.keys),
        seed: value(&written.seed).unwrap_or(0),
        times,
    })
}

/// 2020-01-01T00:00:00Z, in microseconds.
const START: i64 = 1_577_836_800_000_000;

fn generated_times(place: &str, written: &config::GeneratedTimes, errors: &mut Diagnostics) -> Option<GeneratedTimes> {
    let start = match &written.start {
        None => Some(START),
        Some(word) => match word.value.parse::<Timestamp>() {
            Ok(start) => Some(start.as_microsecond()),
            Err(_) => {
                let message = format!("start of times of {place} is \"{}\", which is no time", word.value);
                errors.push(Diagnostic::new(message).on(word).hint("for example \"2020-01-01T00:00:00Z\""));
                None
            }
        },
    };
    let micros = |time: Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
    let step = written.step.as_ref().map_or(1000, |step| micros(step.value));
    Some(GeneratedTimes {
        start: start?,
        step,
        disorder: written.disorder.as_ref().map_or(0, |disorder| micros(disorder.value)),
    })
}

/// Largest payload of a generated record, in bytes: the default limit of a record, because built-in stages have
/// no limits of their own.
fn most_payload() -> u64 {
    Limits::default().record_bytes
}
