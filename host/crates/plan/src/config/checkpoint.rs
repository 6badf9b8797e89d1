use std::time::Duration;

use super::table::Table;
use super::{Diagnostics, Span, Spanned};

/// The `checkpoint` of a pipeline.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// Place of its table in the file.
    pub span: Option<Span>,
    /// The folder of the epochs, relative to the pipeline file.
    pub folder: Spanned<String>,
    /// Time between two epochs. `None` means one second.
    pub interval: Option<Spanned<Duration>>,
    /// Number of epochs that stay restorable. `None` means 3.
    pub keep: Option<Spanned<u64>>,
}

/// Reads `checkpoint` of a table.
pub(super) fn checkpoint(table: &mut Table<'_, '_>, errors: &mut Diagnostics) -> Option<Checkpoint> {
    let mut table = table.table("checkpoint", errors)?;
    let span = Some(table.span());
    let folder = table.string("folder", errors);
    let interval = table.duration("interval", errors);
    let keep = table.count("keep", errors);
    if table.key_span("folder").is_none() {
        table.missing("folder", "name a folder for the epochs: checkpoint = { folder = \"state\" }", errors);
    }
    table.finish(errors);
    Some(Checkpoint { span, folder: folder?, interval, keep })
}
