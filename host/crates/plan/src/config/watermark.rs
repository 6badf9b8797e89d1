use std::time::Duration;

use super::table::Table;
use super::{Diagnostics, Span, Spanned};

/// The `watermark` of a source: how its records' event times tell how far event time is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Watermark {
    /// Place of its table in the file.
    pub span: Option<Span>,
    /// How much older than the newest record a record may be without being late. `None` means 5 seconds.
    pub out_of_order: Option<Spanned<Duration>>,
    /// How long the source may be without a record before others no longer wait for it. `None` means for ever.
    pub idle: Option<Spanned<Duration>>,
    /// How far ahead of the clock a record's time may be and still move event time on. `None` means 5 minutes.
    pub max_ahead: Option<Spanned<Duration>>,
    /// Whether event time goes on with the clock while the source is idle.
    pub idle_advances: bool,
}

impl Watermark {
    /// Reads `watermark = { out_of_order = "5s", idle = "30s" }`.
    pub(super) fn read(table: &mut Table<'_, '_>, errors: &mut Diagnostics) -> Option<Self> {
        let mut inner = table.table("watermark", errors)?;
        let read = Self {
            span: Some(inner.span()),
            out_of_order: inner.duration("out_of_order", errors),
            idle: inner.duration("idle", errors),
            max_ahead: inner.duration("max_ahead", errors),
            idle_advances: inner.boolean("idle_advances", errors).unwrap_or(false),
        };
        inner.finish(errors);
        Some(read)
    }
}
