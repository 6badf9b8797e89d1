use super::draft::Draft;
use super::wiring::Wire;
use super::{FileSourceSpec, Kind, SourceSpec, Work};
use crate::config::{Diagnostic, Diagnostics};

/// Reports windows behind a source whose records have no event time.
pub(super) fn check_times(drafts: &[Draft<'_>], wires: &[Wire], errors: &mut Diagnostics) {
    for (at, draft) in drafts.iter().enumerate().filter(|(_, draft)| draft.kind() == Some(Kind::Window)) {
        let mut seen = vec![false; drafts.len()];
        let mut open = vec![at];
        while let Some(at) = open.pop() {
            for wire in wires.iter().filter(|wire| wire.to == at) {
                if seen.get_mut(wire.from).is_some_and(|seen| !std::mem::replace(seen, true)) {
                    open.push(wire.from);
                }
            }
        }
        let sources = drafts.iter().zip(&seen).filter(|(_, seen)| **seen).map(|(source, _)| source);
        for source in sources.clone().filter(|source| !is_timeless(source) && is_endless(source)) {
            let message = format!("{} has windows, but {} has no watermark", draft.place(), source.place());
            let hint = "say at the source how late its records may come: watermark = { out_of_order = \"5s\" }";
            errors.push(Diagnostic::new(message).at(source.name_span()).at(draft.name_span()).hint(hint));
        }
        for source in sources.filter(|source| is_timeless(source)) {
            let message =
                format!("{} has windows, but the records of {} have no event time", draft.place(), source.place());
            let hint =
                "name the field with the time at the source: event_time = { field = \"/ts\", format = \"rfc3339\" }";
            errors.push(Diagnostic::new(message).at(source.name_span()).at(draft.name_span()).hint(hint));
        }
    }
}

/// Whether the stage is a source that never says how far event time is, so that no window behind it would close before
/// the end of the input.
fn is_endless(draft: &Draft<'_>) -> bool {
    let is_source = matches!(&draft.work, Some(Work::Source(_) | Work::Component(_, Kind::Source)));
    is_source && draft.watermark.is_none()
}

/// Whether the stage is a built-in source whose records have no event time.
fn is_timeless(draft: &Draft<'_>) -> bool {
    match &draft.work {
        Some(Work::Source(SourceSpec::File(FileSourceSpec { text, .. }) | SourceSpec::Stdin(text))) => {
            text.stamps.event_time.is_none()
        }
        Some(Work::Source(SourceSpec::Generate(spec))) => spec.times.is_none(),
        Some(Work::Source(SourceSpec::WholeFiles(_))) => true,
        // A program may give each record its time.
        Some(Work::Source(SourceSpec::Provided(_) | SourceSpec::Socket(_)) | Work::Component(..) | Work::Sink(_))
        | None => false,
    }
}
