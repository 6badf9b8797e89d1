use std::path::{Path, PathBuf};

use glob::Pattern;

use super::names::choose;
use super::{
    Compression, FileSinkSpec, FileSourceSpec, Format, GenerateSpec, Limits, SinkSpec, SourceSpec, WholeFilesSpec,
};
use crate::config::{
    self, Diagnostic, Diagnostics, FileSink, FileSource, Generate, SourceKind, Spanned, format_size, resolve,
};

/// The payload of a made-up record where the file does not say: that of the measurements this host is tuned by.
const DEFAULT_PAYLOAD: u64 = 128;

/// The format of files that are a record each. Not one of [`Format`]: it is nothing that text can have.
const WHOLE: &str = "whole";

/// A built-in source; `None` for a component.
pub(super) fn source(place: &str, written: &SourceKind, base: &Path, errors: &mut Diagnostics) -> Option<SourceSpec> {
    match written {
        SourceKind::File(file) if file.format.as_ref().is_some_and(|format| format.value == WHOLE) => {
            whole_files(place, file, base, errors).map(SourceSpec::WholeFiles)
        }
        SourceKind::File(file) => file_source(place, file, base, errors).map(SourceSpec::File),
        SourceKind::Stdin(format) => stdin(place, format.as_ref(), errors).map(SourceSpec::Stdin),
        SourceKind::Generate(written) => generate(place, written, errors).map(SourceSpec::Generate),
        SourceKind::Provided(name) => Some(SourceSpec::Provided(name.clone())),
        SourceKind::Component(_) => None,
    }
}

/// The built-in sink that writes a file.
pub(super) fn file_sink(place: &str, written: &FileSink, base: &Path, errors: &mut Diagnostics) -> Option<SinkSpec> {
    let compression = compression(place, written.compression.as_ref(), errors);
    if written.path.value.is_empty() || written.path.value.ends_with('/') {
        let message = format!("path of {place} is \"{}\", which names no file", written.path.value);
        errors.push(Diagnostic::new(message).on(&written.path));
        return None;
    }
    Some(SinkSpec::File(FileSinkSpec { path: resolve(base, &written.path.value), compression: compression? }))
}

fn file_source(place: &str, written: &FileSource, base: &Path, errors: &mut Diagnostics) -> Option<FileSourceSpec> {
    let format = match &written.format {
        None => Some(Format::default()),
        // Whole files were seen to before; the name is here to be suggested.
        Some(word) => {
            let [lines, jsonl, csv] = Format::NAMES;
            choose("format", place, word, &[lines, jsonl, csv, (WHOLE, Format::default())], errors)
        }
    };
    let compression = compression(place, written.compression.as_ref(), errors);
    let path = source_path(place, &written.path, base, errors);
    Some(FileSourceSpec { path: path?, format: format?, compression: compression? })
}

fn whole_files(place: &str, written: &FileSource, base: &Path, errors: &mut Diagnostics) -> Option<WholeFilesSpec> {
    let as_it_is = match written.compression.as_ref().map(|word| (word, compression(place, Some(word), errors))) {
        None | Some((_, Some(Compression::None))) => true,
        Some((_, None)) => false,
        Some((word, Some(_))) => {
            let message =
                format!("compression of {place} is \"{}\", and format = \"whole\" takes files as they are", word.value);
            errors.push(Diagnostic::new(message).on(word).hint("leave it out: the operator gets the packed bytes"));
            false
        }
    };
    let path = source_path(place, &written.path, base, errors)?;
    as_it_is.then(|| WholeFilesSpec { path, base: base.to_owned() })
}

/// A path or pattern. Only what was written is a pattern: a folder above that happens to be called `a[1]` is not.
fn source_path(place: &str, written: &Spanned<String>, base: &Path, errors: &mut Diagnostics) -> Option<PathBuf> {
    if written.value.is_empty() {
        errors.push(Diagnostic::new(format!("path of {place} is empty")).on(written));
        return None;
    }
    if !written.value.contains(['*', '?', '[']) {
        return Some(resolve(base, &written.value));
    }
    if let Err(error) = Pattern::new(&written.value) {
        let message = format!("path of {place} is not a pattern: {} at character {}", error.msg, error.pos + 1);
        errors.push(Diagnostic::new(message).on(written).hint("[[], [*] and [?] stand for the characters themselves"));
        return None;
    }
    match base.to_str() {
        Some(text) if text.contains(['*', '?', '[']) => {
            Some(resolve(Path::new(&Pattern::escape(text)), &written.value))
        }
        _ => Some(resolve(base, &written.value)),
    }
}

fn stdin(place: &str, written: Option<&Spanned<String>>, errors: &mut Diagnostics) -> Option<Format> {
    let Some(word) = written else { return Some(Format::default()) };
    match choose("format", place, word, &Format::NAMES, errors)? {
        Format::Csv => {
            let message = format!("format of {place} is \"csv\", which standard input does not have");
            errors
                .push(Diagnostic::new(message).on(word).hint("\"lines\" or \"jsonl\"; read a csv with file = { .. }"));
            None
        }
        format => Some(format),
    }
}

fn compression(place: &str, written: Option<&Spanned<String>>, errors: &mut Diagnostics) -> Option<Compression> {
    match written {
        None => Some(Compression::default()),
        Some(word) => choose("compression", place, word, &Compression::NAMES, errors),
    }
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
        let message = format!("payload_bytes of {place} is {}", format_size(payload.value));
        errors.push(Diagnostic::new(message).on(&payload).hint(format!("at most {}", format_size(most))));
        sound = false;
    }
    let value = |written: &Option<config::Spanned<u64>>| written.as_ref().map(|written| written.value);
    sound.then_some(GenerateSpec {
        count: value(&written.count),
        rate: value(&written.rate),
        payload_bytes: u32::try_from(payload.value).ok()?,
        keys: value(&written.keys),
        seed: value(&written.seed).unwrap_or(0),
    })
}

/// What a record may weigh where nothing else is said: built-in stages have no limits of their own.
fn most_payload() -> u64 {
    Limits::default().record_bytes
}
