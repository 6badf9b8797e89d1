use std::collections::HashSet;

use encoding_rs::Encoding;

use super::written_schema::source_schema;
use super::{
    Compression, CsvSpec, Duplicates, EventTimeSpec, FieldPath, Format, HeaderSpec, LineEnd, StampSpec, TextEncoding,
    TextSpec, Unnamed,
};
use crate::config::{self, Diagnostic, Diagnostics, Header, Spanned, TextFormat, choose, closest};

/// The most common encoding names, for hints.
const ENCODINGS: [&str; 9] =
    ["utf-8", "latin-1", "windows-1252", "utf-16", "utf-16le", "utf-16be", "iso-8859-15", "windows-1251", "shift_jis"];

/// The text format of a source's records. `names` are the formats that the source may have.
pub(super) fn text<F: Copy + Into<Option<Format>>>(
    place: &str,
    written: &config::Source,
    format: &TextFormat,
    names: &[(&'static str, F)],
    errors: &mut Diagnostics,
) -> Option<TextSpec> {
    let before = errors.len();
    let chosen = match &format.format {
        None => Format::default(),
        Some(word) => choose("format", place, word, names, errors)?.into()?,
    };
    let compression = compression(place, format.compression.as_ref(), errors);
    let line_end = format
        .line_end
        .as_ref()
        .map_or(Some(LineEnd::Auto), |word| choose("line_end", place, word, &LineEnd::NAMES, errors));
    let encoding = encoding(place, format.encoding.as_ref(), errors);
    let csv = if chosen == Format::Csv {
        csv(place, format, errors)
    } else {
        let name = Format::NAMES.iter().find(|(_, other)| *other == chosen).map_or("", |(name, _)| name);
        not_csv(place, name, format, errors);
        CsvSpec::default()
    };
    let stamps = stamps(place, written, chosen, &csv, errors);
    let schema = source_schema(place, written, chosen, &csv, errors);
    if errors.len() > before {
        return None;
    }
    Some(TextSpec {
        format: chosen,
        compression: compression?,
        encoding: encoding?,
        line_end: line_end?,
        csv,
        stamps,
        schema,
        reads: None,
        tolerant: passes_files(written),
    })
}

/// Whether the source continues after an unreadable file: true only if the source's own `on_error` is set to
/// anything but `fail`.
pub(super) fn passes_files(written: &config::Source) -> bool {
    written.on_error.as_ref().is_some_and(|on_error| *on_error != config::OnError::Fail)
}

/// Reports a key, a time or headers that a source sets although its records have no fields.
pub(super) fn no_stamps(place: &str, what: &str, written: &config::Source, errors: &mut Diagnostics) {
    let event_time = written.event_time.as_ref().map(|time| ("event_time", &time.field));
    let headers = written.headers.first().map(|(_, field)| ("headers", field));
    for (key, field) in written.key.as_ref().map(|field| ("key", field)).into_iter().chain(event_time).chain(headers) {
        let message = format!("{key} of {place} is the field \"{}\", and {what} has no fields", field.value);
        errors.push(Diagnostic::new(message).on(field).hint(
            "it goes with file or stdin and format = \"jsonl\" or \"csv\"; elsewhere a key-by or map operator sets it",
        ));
    }
}

pub(super) fn compression(
    place: &str,
    written: Option<&Spanned<String>>,
    errors: &mut Diagnostics,
) -> Option<Compression> {
    match written {
        None => Some(Compression::default()),
        Some(word) => choose("compression", place, word, &Compression::NAMES, errors),
    }
}

fn encoding(place: &str, written: Option<&Spanned<String>>, errors: &mut Diagnostics) -> Option<TextEncoding> {
    let Some(word) = written else { return Some(TextEncoding::Found) };
    let label = word.value.to_ascii_lowercase();
    match label.as_str() {
        // The standard maps these labels to windows-1252, which differs from Latin-1 from byte 0x80 to 0x9f.
        "latin-1" | "latin1" | "iso-8859-1" => return Some(TextEncoding::Latin1),
        "utf-16" => return Some(TextEncoding::Utf16),
        _ => {}
    }
    match Encoding::for_label_no_replacement(label.as_bytes()) {
        Some(encoding) => Some(TextEncoding::Named(encoding)),
        None => {
            let message = format!("encoding of {place} is \"{}\"", word.value);
            let hint = match closest(&label, ENCODINGS) {
                Some(name) => format!("did you mean \"{name}\"?"),
                None => format!("a label of the WHATWG encoding standard, for example {}", ENCODINGS.join(", ")),
            };
            errors.push(Diagnostic::new(message).on(word).hint(hint));
            None
        }
    }
}

/// Reports CSV settings of a format that is not CSV.
pub(super) fn not_csv(place: &str, format: &str, written: &TextFormat, errors: &mut Diagnostics) {
    let header = written.header.as_ref().and_then(|header| match header {
        Header::FirstRow(value) => value.span,
        Header::Names(names) => names.first().and_then(|name| name.span),
    });
    let columns = written.columns.as_ref().and_then(|names| names.first()).and_then(|name| name.span);
    let span = |written: &Option<Spanned<String>>| written.as_ref().and_then(|written| written.span);
    let keys = [
        ("delimiter", written.delimiter.is_some(), span(&written.delimiter)),
        ("quote", written.quote.is_some(), span(&written.quote)),
        ("header", written.header.is_some(), header),
        ("columns", written.columns.is_some(), columns),
        ("unnamed", written.unnamed.is_some(), span(&written.unnamed)),
        ("duplicates", written.duplicates.is_some(), span(&written.duplicates)),
    ];
    for (key, _, span) in keys.into_iter().filter(|(_, written, _)| *written) {
        let message = format!("{place} has a {key}, and its format is \"{format}\"");
        errors.push(Diagnostic::new(message).at(span).hint(format!("{key} goes with format = \"csv\"")));
    }
}

fn csv(place: &str, written: &TextFormat, errors: &mut Diagnostics) -> CsvSpec {
    let default = CsvSpec::default();
    let mut spec = CsvSpec::default();
    if let Some(word) = &written.delimiter {
        spec.delimiter = one_byte("delimiter", place, word, errors).flatten().unwrap_or(default.delimiter);
        if word.value.is_empty() {
            let message = format!("delimiter of {place} is empty");
            errors
                .push(Diagnostic::new(message).on(word).hint("name one ASCII character, for example \";\" or \"\\t\""));
        }
    }
    if let Some(word) = &written.quote {
        spec.quote = one_byte("quote", place, word, errors).unwrap_or(default.quote);
    }
    if spec.quote == Some(spec.delimiter) {
        let message = format!("delimiter and quote of {place} are both {:?}", char::from(spec.delimiter));
        let mut error = Diagnostic::new(message).hint("fields are cut at one and may hold it inside the other");
        for word in [&written.delimiter, &written.quote].into_iter().flatten() {
            error = error.on(word);
        }
        errors.push(error);
    }
    if let Some(word) = &written.unnamed {
        spec.unnamed = choose("unnamed", place, word, &Unnamed::NAMES, errors).unwrap_or_default();
    }
    if let Some(word) = &written.duplicates {
        spec.duplicates = choose("duplicates", place, word, &Duplicates::NAMES, errors).unwrap_or_default();
    }
    match &written.header {
        None => {}
        Some(Header::FirstRow(first)) if first.value => {}
        Some(Header::FirstRow(_)) => spec.header = HeaderSpec::Numbered,
        Some(Header::Names(names)) => {
            distinct("header", place, names, errors);
            spec.header = HeaderSpec::Names(names.iter().map(|name| name.value.clone()).collect());
        }
    }
    if let Some(columns) = &written.columns {
        distinct("columns", place, columns, errors);
        columns.iter().for_each(|column| known_column("columns", place, column, &column.value, &spec.header, errors));
        spec.columns = Some(columns.iter().map(|column| column.value.clone()).collect());
    }
    spec
}

/// Parses a single ASCII character that ends no line; `Some(None)` for an empty text.
pub(super) fn one_byte(key: &str, place: &str, word: &Spanned<String>, errors: &mut Diagnostics) -> Option<Option<u8>> {
    match *word.value.as_bytes() {
        [] => Some(None),
        [byte] if byte.is_ascii() && !matches!(byte, b'\n' | b'\r' | 0) => Some(Some(byte)),
        _ => {
            let message = format!("{key} of {place} is \"{}\"", word.value.escape_debug());
            let hint = match word.value.to_ascii_lowercase().as_str() {
                "tab" | "\\t" => "write \"\\t\", in double quotes",
                "comma" => "write \",\"",
                "semicolon" => "write \";\"",
                "none" if key == "quote" => "write \"\" for no quoting",
                _ => "one ASCII character that ends no line; format = \"lines\" leaves others to the operator",
            };
            errors.push(Diagnostic::new(message).on(word).hint(hint));
            None
        }
    }
}

fn distinct(key: &str, place: &str, names: &[Spanned<String>], errors: &mut Diagnostics) {
    let mut seen = HashSet::new();
    for name in names {
        if name.value.is_empty() {
            errors.push(Diagnostic::new(format!("{key} of {place} has an empty name")).on(name));
        } else if !seen.insert(name.value.as_str()) {
            errors.push(Diagnostic::new(format!("{key} of {place} names \"{}\" twice", name.value)).on(name));
        }
    }
}

/// Checks a column name against the header, if the pipeline file gives the header.
fn known_column(
    key: &str,
    place: &str,
    at: &Spanned<String>,
    column: &str,
    header: &HeaderSpec,
    errors: &mut Diagnostics,
) {
    let HeaderSpec::Names(names) = header else { return };
    if names.iter().any(|name| name == column) {
        return;
    }
    let hint = match closest(column, names.iter().map(String::as_str)) {
        Some(name) => format!("did you mean \"{name}\"?"),
        None => format!("there are {}", names.join(", ")),
    };
    let message = format!("{key} of {place} names \"{column}\", which is not in its header");
    errors.push(Diagnostic::new(message).on(at).hint(hint));
}

fn stamps(place: &str, written: &config::Source, format: Format, csv: &CsvSpec, errors: &mut Diagnostics) -> StampSpec {
    if format == Format::Lines {
        no_stamps(place, "format = \"lines\"", written, errors);
        return StampSpec::default();
    }
    let field = |key: &str, word: &Spanned<String>, errors: &mut Diagnostics| -> Option<FieldPath> {
        let path =
            match FieldPath::parse(&word.value) {
                Ok(path) => path,
                Err(error) => {
                    let message = format!("{key} of {place} is \"{}\", which is no field: {error}", word.value);
                    errors.push(Diagnostic::new(message).on(word).hint(
                        "a field is a name, or a JSON pointer: \"/user/id\", with ~1 for / and ~0 for ~ in a name",
                    ));
                    return None;
                }
            };
        if format == Format::Csv {
            match path.only_part() {
                Some(column) => known_column(key, place, word, column, &csv.header, errors),
                None => {
                    let message = format!("{key} of {place} is \"{}\", and a column has no fields", word.value);
                    errors.push(Diagnostic::new(message).on(word).hint("name a column"));
                }
            }
        }
        Some(path)
    };
    let key = written.key.as_ref().and_then(|word| field("key", word, errors));
    let event_time = written.event_time.as_ref().and_then(|time| {
        let path = field("event_time", &time.field, errors);
        EventTimeSpec::of(place, time, path, errors)
    });
    let headers = written.headers.iter();
    let headers = headers
        .filter_map(|(name, word)| {
            if name.value.is_empty() {
                errors.push(Diagnostic::new(format!("headers of {place} has an empty name")).on(name));
            }
            Some((name.value.clone(), field("headers", word, errors)?))
        })
        .collect();
    StampSpec { key, event_time, headers }
}
