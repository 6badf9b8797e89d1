use std::time::Duration;

use super::table::Table;
use super::{Diagnostic, Diagnostics, Span, Spanned, parse_duration};

/// The `window` of an operator, and its `late`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Window {
    /// Place of its table in the file.
    pub span: Option<Span>,
    /// Length of windows, one after the other.
    pub tumbling: Option<Spanned<Duration>>,
    /// Length of windows of which one starts each `every`.
    pub sliding: Option<Spanned<Duration>>,
    /// Distance between the starts of sliding windows.
    pub every: Option<Spanned<Duration>>,
    /// Length of the silence that ends a session.
    pub session: Option<Spanned<Duration>>,
    /// Shift of the windows from the Unix epoch.
    pub offset: Option<Spanned<Offset>>,
}

/// A shift in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Offset {
    /// Its length.
    pub length: Duration,
    /// Whether it leads back.
    pub negative: bool,
}

/// The `late` of an operator.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Late {
    /// Place of its table in the file.
    pub span: Option<Span>,
    /// For how long after its end, by the watermark, a window takes records.
    pub allowed: Option<Spanned<Duration>>,
}

/// Reads `window` of an operator.
pub(super) fn window(table: &mut Table<'_, '_>, errors: &mut Diagnostics) -> Option<Window> {
    let mut table = table.table("window", errors)?;
    let read = Window {
        span: Some(table.span()),
        tumbling: table.duration("tumbling", errors),
        sliding: table.duration("sliding", errors),
        every: table.duration("every", errors),
        session: table.duration("session", errors),
        offset: offset(&mut table, errors),
    };
    let found = ["tumbling", "sliding", "session"].iter().filter(|key| table.key_span(key).is_some()).count();
    if found != 1 {
        let message = match found {
            0 => format!("{} does not say its shape", table.place()),
            _ => format!("{} has several shapes", table.place()),
        };
        let hint = "exactly one of tumbling = \"1m\", sliding = \"10m\" with every = \"1m\", session = \"30s\"";
        errors.push(Diagnostic::new(message).at(Some(table.span())).hint(hint));
    }
    let sliding = table.key_span("sliding").is_some();
    match table.key_span("every") {
        Some(span) if !sliding => {
            let message = format!("every of {} has no effect without sliding", table.place());
            errors.push(Diagnostic::new(message).at(Some(span)).hint("sliding = \"10m\", every = \"1m\""));
        }
        None if sliding => table.missing("every", "say how often a window starts: every = \"1m\"", errors),
        _ => {}
    }
    if let (Some(span), Some(_)) = (table.key_span("offset"), table.key_span("session")) {
        let message = format!("offset of {} has no effect: a session begins with its first record", table.place());
        errors.push(Diagnostic::new(message).at(Some(span)).hint("leave offset out"));
    }
    table.finish(errors);
    Some(read)
}

fn offset(table: &mut Table<'_, '_>, errors: &mut Diagnostics) -> Option<Spanned<Offset>> {
    let written = table.string("offset", errors)?;
    let (negative, length) = match written.value.strip_prefix('-') {
        Some(length) => (true, length),
        None => (false, written.value.as_str()),
    };
    match parse_duration(length) {
        Ok(length) => Some(written.map(|_| Offset { length, negative })),
        Err(error) => {
            let message = format!("offset of {} is \"{}\": {error}", table.place(), written.value);
            errors.push(Diagnostic::new(message).on(&written).hint("a duration such as \"8h\" or \"-1h\""));
            None
        }
    }
}

/// Reads `late` of an operator.
pub(super) fn late(table: &mut Table<'_, '_>, errors: &mut Diagnostics) -> Option<Late> {
    let mut table = table.table("late", errors)?;
    let read = Late { span: Some(table.span()), allowed: table.duration("allowed", errors) };
    if table.key_span("allowed").is_none() {
        table.missing("allowed", "say for how long late records count: late = { allowed = \"10s\" }", errors);
    }
    table.finish(errors);
    Some(read)
}
