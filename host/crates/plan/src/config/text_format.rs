use toml::de::DeValue;

use super::table::Table;
use super::{Diagnostic, Diagnostics, Spanned};

/// Format of the records in a file or in standard input, as it was written.
#[derive(Debug, Clone, Default)]
pub struct TextFormat {
    /// `lines`, `jsonl`, `csv`, or (for a file) `whole`. `None` means `lines`.
    pub format: Option<Spanned<String>>,
    /// `gzip`, `zstd` or `none`. `None` detects the compression from the first bytes.
    pub compression: Option<Spanned<String>>,
    /// `utf-8`, `latin-1`, `windows-1252`, `utf-16`, or another label of the WHATWG encoding standard. `None`
    /// means UTF-8, or UTF-16 if the text begins with its byte order mark.
    pub encoding: Option<Spanned<String>>,
    /// `auto` or `any`. `None` means `auto`.
    pub line_end: Option<Spanned<String>>,
    /// csv: the character between fields. `None` means a comma.
    pub delimiter: Option<Spanned<String>>,
    /// csv: the character around fields; an empty string means no quoting. `None` means `"`.
    pub quote: Option<Spanned<String>>,
    /// csv: source of the column names. `None` means the first row.
    pub header: Option<Header>,
    /// csv: the columns of a record, in this order. `None` means all.
    pub columns: Option<Vec<Spanned<String>>>,
    /// csv: treatment of columns without a name: `number`, `leave-out` or `fail`. `None` means `number`.
    pub unnamed: Option<Spanned<String>>,
    /// csv: treatment of a name that an earlier column has: `number` or `fail`. `None` means `fail`.
    pub duplicates: Option<Spanned<String>>,
}

/// Source of a CSV file's column names.
#[derive(Debug, Clone, PartialEq)]
pub enum Header {
    /// `true`: the first row holds the names; `false`: the names are `column_1`, `column_2`, …
    FirstRow(Spanned<bool>),
    /// A list of names; the first row is a record.
    Names(Vec<Spanned<String>>),
}

/// The event time of a record: the moment that the record is about.
#[derive(Debug, Clone, Default)]
pub struct EventTime {
    /// Field of the event time: a name or a JSON pointer.
    pub field: Spanned<String>,
    /// `rfc3339`, `unix`, `unix_s`, `unix_ms`, `unix_us`, `unix_ns`, or a pattern with `%`. `None` means `rfc3339`.
    pub format: Option<Spanned<String>>,
    /// The zone of times without one: an IANA name. `None`: each time has a zone.
    pub timezone: Option<Spanned<String>>,
}

impl TextFormat {
    /// A text format of this name, with every other setting at its default.
    #[must_use]
    pub fn named(format: &str) -> Self {
        Self { format: Some(format.into()), ..Self::default() }
    }

    /// Reads the keys from the table of a file or of standard input.
    pub(super) fn read(table: &mut Table<'_, '_>, errors: &mut Diagnostics) -> Self {
        Self {
            format: table.string("format", errors),
            compression: table.string("compression", errors),
            encoding: table.string("encoding", errors),
            line_end: table.string("line_end", errors),
            delimiter: table.string("delimiter", errors),
            quote: table.string("quote", errors),
            header: header(table, errors),
            columns: names(table, "columns", errors),
            unnamed: table.string("unnamed", errors),
            duplicates: table.string("duplicates", errors),
        }
    }
}

impl EventTime {
    /// Reads `event_time = { field = "/ts", format = "rfc3339" }`.
    pub(super) fn read(table: &mut Table<'_, '_>, errors: &mut Diagnostics) -> Option<Self> {
        let mut inner = table.table("event_time", errors)?;
        let field = inner.string("field", errors);
        let format = inner.string("format", errors);
        let timezone = inner.string("timezone", errors);
        if inner.key_span("field").is_none() {
            inner.missing("field", "name a field: event_time = { field = \"ts\", format = \"rfc3339\" }", errors);
        }
        inner.finish(errors);
        Some(Self { field: field?, format, timezone })
    }
}

/// Reads `headers = { name = "field" }`, in the order of the file.
pub(super) fn record_headers(
    table: &mut Table<'_, '_>,
    errors: &mut Diagnostics,
) -> Vec<(Spanned<String>, Spanned<String>)> {
    let Some(inner) = table.table("headers", errors) else { return Vec::new() };
    let entries = inner.entries().into_iter();
    entries.filter_map(|(name, node)| Some((inner.string_of(&name.value, node, errors)?, name))).map(swap).collect()
}

fn swap<A, B>((a, b): (A, B)) -> (B, A) {
    (b, a)
}

fn header(table: &mut Table<'_, '_>, errors: &mut Diagnostics) -> Option<Header> {
    let node = table.node("header")?;
    match node.get_ref() {
        DeValue::Boolean(value) => Some(Header::FirstRow(Spanned::at(*value, node.span().into()))),
        DeValue::Array(items) if items.is_empty() => {
            let message = format!("header of {} is an empty list", table.place());
            let hint = "name the columns: header = [\"id\", \"name\"]; header = false numbers them";
            errors.push(Diagnostic::new(message).at(Some(node.span().into())).hint(hint));
            None
        }
        DeValue::Array(items) => {
            let read: Vec<_> = items.iter().filter_map(|item| table.string_of("header", item, errors)).collect();
            (read.len() == items.len()).then_some(Header::Names(read))
        }
        _ => table.wrong_type("header", "true, false or a list of names", node, errors),
    }
}

fn names(table: &mut Table<'_, '_>, key: &'static str, errors: &mut Diagnostics) -> Option<Vec<Spanned<String>>> {
    let span = table.key_span(key);
    let items = table.array(key, errors)?;
    if items.is_empty() {
        let message = format!("{key} of {} is an empty list", table.place());
        errors.push(Diagnostic::new(message).at(span).hint("name the columns to keep, or leave it out to keep all"));
        return None;
    }
    let read: Vec<_> = items.iter().filter_map(|item| table.string_of(key, item, errors)).collect();
    (read.len() == items.len()).then_some(read)
}
