use std::path::Path;

use sage_store::{Inspection, StoreError};
use sage_text::short_size;
use serde_json::json;

use super::counted::of;
use super::store_failure::of_store;
use crate::failure::Failure;
use crate::printer::Printer;

/// The command `state verify`.
pub(super) fn verify(folder: &Path, printer: Printer) -> Result<(), Failure> {
    let found = Inspection::of(folder).map_err(|error| of_store(&error))?;
    if let Some(damage) = found.damage {
        return Err(of_store(&StoreError::Damaged(Box::new(damage))));
    }
    let bytes = found.segments.iter().map(|segment| segment.bytes).fold(0, u64::saturating_add);
    let (epochs, segments) = (found.epochs.len(), found.segments.len());
    let told = format!("{} can be restored, {} in {}", of(epochs, "epoch"), short_size(bytes), of(segments, "segment"));
    printer.result(
        || format!("{} is whole: {told}\n", folder.display()),
        &json!({ "folder": folder, "whole": true, "epochs": epochs, "segments": segments, "bytes": bytes }),
    )
}
