use std::time::Duration;

use sage_time::{WindowRules, WindowShape};

use super::draft::Draft;
use super::wiring::Wire;
use super::{FileSourceSpec, Kind, SourceSpec, Work};
use crate::config::{Diagnostic, Diagnostics, Late, Offset, Span, Spanned, Window, format_duration};

/// Longest window, gap, offset and lateness.
const LONGEST: Duration = Duration::from_secs(3660 * 24 * 3600);
/// Most sliding windows that a record belongs to. Each is a call of the guest's function for the record.
const MOST_WINDOWS: i64 = 1000;
/// The hint for a component that needs windows.
const SHAPES: &str = "window = { tumbling = \"1m\" }, { sliding = \"10m\", every = \"1m\" } or { session = \"30s\" }";

/// The windows of an operator as its file says them. `None` if it has none, or if they have an error, which was
/// reported.
pub(super) fn rules(
    draft: &Draft<'_>,
    window: Option<&Window>,
    late: Option<&Late>,
    errors: &mut Diagnostics,
) -> Option<WindowRules> {
    let place = draft.place();
    match (draft.kind(), window) {
        (Some(Kind::Window), None) => {
            let message = format!("{place} has a component of kind window, and no window");
            let at = draft.component.and_then(|component| component.path.span).or(draft.name_span());
            errors.push(Diagnostic::new(message).at(at).hint(SHAPES));
        }
        (Some(kind), Some(window)) if kind != Kind::Window => {
            let message = format!("{place} has a window, but its component is a {kind}");
            let hint = "a window goes with a component of kind window: #[sage_guest::window]";
            errors.push(Diagnostic::new(message).at(window.span).hint(hint));
        }
        _ => {}
    }
    if let (Some(late), None) = (late, window) {
        let message = format!("late of {place} has no effect without a window");
        errors.push(Diagnostic::new(message).at(late.span).hint(SHAPES));
    }
    let window = window?;
    let before = errors.len();
    let of = |key: &str| format!("{key} of window of {place}");
    let shape = match (&window.tumbling, &window.sliding, &window.every, &window.session) {
        (Some(size), ..) => WindowShape::Tumbling { size: length(&of("tumbling"), size, errors) },
        (None, Some(size), Some(every), _) => sliding(&place, size, every, errors),
        (None, None, _, Some(gap)) => WindowShape::Session { gap: length(&of("session"), gap, errors) },
        _ => return None,
    };
    let offset = window.offset.as_ref().map_or(0, |offset| shift(&of("offset"), offset, errors));
    let allowed = late.and_then(|late| late.allowed.as_ref());
    let allowed = allowed.map_or(0, |allowed| micros(&format!("allowed of late of {place}"), allowed, errors));
    (errors.len() == before).then_some(WindowRules { shape, offset, allowed })
}

fn sliding(place: &str, size: &Spanned<Duration>, every: &Spanned<Duration>, errors: &mut Diagnostics) -> WindowShape {
    let lengths = (length(&format!("sliding of window of {place}"), size, errors), every);
    let (size_in_micros, every_in_micros) =
        (lengths.0, length(&format!("every of window of {place}"), lengths.1, errors));
    if every_in_micros > size_in_micros {
        let (every_text, size_text) = (format_duration(every.value), format_duration(size.value));
        let message = format!("every of window of {place} is {every_text}, longer than its windows of {size_text}");
        let hint = "a record between two windows would belong to none: make every shorter, or use tumbling";
        errors.push(Diagnostic::new(message).on(every).at(size.span).hint(hint));
    } else if size_in_micros / every_in_micros > MOST_WINDOWS {
        let count = size_in_micros / every_in_micros;
        let message = format!("each record of {place} belongs to {count} sliding windows");
        let hint = format!("at most {MOST_WINDOWS}: make every longer, or the windows shorter");
        errors.push(Diagnostic::new(message).on(every).at(size.span).hint(hint));
    }
    WindowShape::Sliding { size: size_in_micros, every: every_in_micros }
}

/// A length in microseconds, at least 1.
fn length(what: &str, written: &Spanned<Duration>, errors: &mut Diagnostics) -> i64 {
    if written.value.is_zero() {
        errors.push(Diagnostic::new(format!("{what} is 0")).on(written).hint("at least 1us"));
        return 1;
    }
    micros(what, written, errors).max(1)
}

/// A time in microseconds.
fn micros(what: &str, written: &Spanned<Duration>, errors: &mut Diagnostics) -> i64 {
    in_micros(what, written.value, written.span, errors)
}

fn shift(what: &str, written: &Spanned<Offset>, errors: &mut Diagnostics) -> i64 {
    let length = in_micros(what, written.value.length, written.span, errors);
    if written.value.negative { -length } else { length }
}

fn in_micros(what: &str, time: Duration, span: Option<Span>, errors: &mut Diagnostics) -> i64 {
    let text = format_duration(time);
    if time > LONGEST {
        errors.push(Diagnostic::new(format!("{what} is {text}")).at(span).hint("at most ten years"));
    } else if time.subsec_nanos() % 1000 != 0 {
        let hint = "event times have microseconds, so lengths have whole microseconds";
        errors.push(Diagnostic::new(format!("{what} is {text}")).at(span).hint(hint));
    }
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

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
        Some(Work::Source(SourceSpec::WholeFiles(_) | SourceSpec::Generate(_))) => true,
        // A program may give each record its time.
        Some(Work::Source(SourceSpec::Provided(_) | SourceSpec::Socket(_)) | Work::Component(..) | Work::Sink(_))
        | None => false,
    }
}
