use std::fmt::Write as _;
use std::path::Path;

use comfy_table::{Table, TableStyle};
use sage_store::{InspectedEpoch, Inspection, StageFrames};
use sage_text::{plain_text, short_size};
use serde_json::{Value, json};

use super::counted::of;
use super::store_failure::of_store;
use crate::failure::Failure;
use crate::printer::Printer;

/// The command `state inspect`.
pub(super) fn inspect(folder: &Path, printer: Printer) -> Result<(), Failure> {
    let found = Inspection::of(folder).map_err(|error| of_store(&error))?;
    printer.result(|| text(folder, &found), &as_json(folder, &found))
}

fn text(folder: &Path, found: &Inspection) -> String {
    let mut text = String::new();
    let rows = found.epochs.iter().map(|epoch| {
        [
            epoch.info.number.to_string(),
            time(epoch.info.wall_ms),
            short_size(epoch.bytes),
            epoch.base.to_string(),
            if epoch.info.ended { "yes" } else { "no" }.to_owned(),
        ]
    });
    text.push_str(&table(["epoch", "written", "size", "base", "run ended"], rows));
    if let Some(last) = found.epochs.last() {
        // Writing to a string does not fail.
        let _ = writeln!(text, "epoch {} holds", last.info.number);
        let rows = last.stages.iter().map(|StageFrames { stage, kind, frames, bytes }| {
            [plain_text(stage).into_owned(), kind.name().to_owned(), frames.to_string(), short_size(*bytes)]
        });
        text.push_str(&table(["stage", "kind", "frames", "size"], rows));
    }
    let (epochs, segments) = (of(found.epochs.len(), "epoch"), of(found.segments.len(), "segment"));
    let (bytes, folder) = (short_size(bytes(found)), folder.display());
    let _ = writeln!(text, "{epochs} can be restored, {bytes} in {segments} in {folder}");
    if let Some(holder) = found.holder {
        let _ = writeln!(text, "in use by {holder}");
    }
    if found.unfinished > 0 {
        let _ = writeln!(text, "{} of an epoch that is not whole", short_size(found.unfinished));
    }
    if let Some(damage) = &found.damage {
        let _ = writeln!(text, "{damage}");
    }
    text
}

fn table<const N: usize>(head: [&str; N], rows: impl ExactSizeIterator<Item = [String; N]>) -> String {
    if rows.len() == 0 {
        return String::new();
    }
    let mut table = Table::new();
    table.load_style(TableStyle::new()).set_header(head);
    table.add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.lines().map(|line| format!("{}\n", line.trim_end())).chain(["\n".to_owned()]).collect()
}

fn time(wall_ms: u64) -> String {
    let time = i64::try_from(wall_ms).ok().and_then(|at| jiff::Timestamp::from_millisecond(at).ok());
    time.map_or_else(|| format!("{wall_ms} ms"), |time| time.to_string())
}

fn bytes(found: &Inspection) -> u64 {
    found.segments.iter().map(|segment| segment.bytes).fold(0, u64::saturating_add)
}

fn as_json(folder: &Path, found: &Inspection) -> Value {
    let holder = found.holder.map(|holder| json!({ "pid": holder.pid, "user": holder.user }));
    let segments = found.segments.iter().map(|segment| {
        json!({ "name": segment.name, "bytes": segment.bytes, "first": segment.first, "epochs": segment.epochs })
    });
    let damage = found.damage.as_ref().map(
        |damage| json!({ "path": damage.path, "byte": damage.byte, "reason": damage.reason, "whole": damage.whole }),
    );
    json!({
        "folder": folder,
        "bytes": bytes(found),
        "in_use_by": holder,
        "epochs": found.epochs.iter().map(epoch_as_json).collect::<Vec<_>>(),
        "segments": segments.collect::<Vec<_>>(),
        "unfinished_bytes": found.unfinished,
        "damage": damage,
    })
}

fn epoch_as_json(epoch: &InspectedEpoch) -> Value {
    let stages = epoch.stages.iter().map(|StageFrames { stage, kind, frames, bytes }| {
        json!({ "stage": stage, "kind": kind.name(), "frames": frames, "bytes": bytes })
    });
    json!({
        "number": epoch.info.number,
        "written_ms": epoch.info.wall_ms,
        "written": time(epoch.info.wall_ms),
        "bytes": epoch.bytes,
        "base": epoch.base,
        "ended": epoch.info.ended,
        "stages": stages.collect::<Vec<_>>(),
        "manifest": serde_json::from_slice::<Value>(&epoch.info.manifest).ok(),
    })
}
