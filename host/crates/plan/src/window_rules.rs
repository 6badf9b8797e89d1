use std::time::Duration;

use sage_time::{WindowRules, WindowShape};

use super::Kind;
use crate::config::{Diagnostic, Diagnostics, Late, Offset, Span, Spanned, Window, format_duration};

/// Longest window, gap, offset and lateness.
const LONGEST: Duration = Duration::from_secs(3660 * 24 * 3600);
/// Most sliding windows that a record belongs to. Each is a call of the guest's function for the record.
const MOST_WINDOWS: i64 = 1000;
/// The hint for a component that needs windows.
const SHAPES: &str = "window = { tumbling = \"1m\" }, { sliding = \"10m\", every = \"1m\" } or { session = \"30s\" }";

/// The windows of an operator as its file says them. The operator has a name for messages, a kind and a component. `None` if it has none, or if they have an error, which was
/// reported.
pub(super) fn window_rules(
    (place, kind, component): (&str, Option<Kind>, Option<Span>),
    window: Option<&Window>,
    late: Option<&Late>,
    errors: &mut Diagnostics,
) -> Option<WindowRules> {
    match (kind, window) {
        (Some(Kind::Window), None) => {
            let message = format!("{place} has a component of kind window, and no window");
            errors.push(Diagnostic::new(message).at(component).hint(SHAPES));
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
        (None, Some(size), Some(every), _) => sliding(place, size, every, errors),
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
    } else if !time.subsec_nanos().is_multiple_of(1000) {
        let hint = "event times have microseconds, so lengths have whole microseconds";
        errors.push(Diagnostic::new(format!("{what} is {text}")).at(span).hint(hint));
    }
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}
