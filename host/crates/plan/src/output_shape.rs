use std::time::Duration;

use super::{OutputShape, RollSpec};
use crate::config::{Diagnostic, Diagnostics, FileSink, Roll, Spanned, format_duration};
use sage_text::exact_size;

/// Smallest size at which a part may be closed. A file for each record would be what the user gets below it.
const LEAST_SIZE: u64 = 1 << 10;
/// Shortest time after which a part may be closed.
const SHORTEST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(8760 * 3600);

/// How the records of a file sink come to lie under its path.
pub(super) fn output_shape(place: &str, written: &FileSink, errors: &mut Diagnostics) -> Option<OutputShape> {
    let before = errors.len();
    let append = written.append.as_ref().filter(|append| append.value);
    let has_place = require_place(place, written, errors);
    let shape = match (&written.roll, append) {
        (Some(roll), append) => {
            if let Some(append) = append {
                let message = format!("{place} has roll and append at once");
                let hint = "parts are new files, which nothing is appended to: keep one of the two";
                errors.push(Diagnostic::new(message).on(append).at(roll.span).hint(hint));
            }
            OutputShape::Parts(roll_spec(place, roll, errors))
        }
        (None, Some(append)) => {
            require_plain(place, written, append, errors);
            OutputShape::Appended
        }
        (None, None) => OutputShape::Whole,
    };
    (has_place && errors.len() == before).then_some(shape)
}

/// Checks that a path has a place for the number of a part exactly if the output has parts.
fn require_place(place: &str, written: &FileSink, errors: &mut Diagnostics) -> bool {
    let path = &written.path.value;
    let name = path.rsplit('/').next().unwrap_or(path);
    let (all, in_name) = (path.matches(RollSpec::PLACE).count(), name.matches(RollSpec::PLACE).count());
    let (message, hint) = match (&written.roll, all, in_name) {
        (Some(_), 1, 1) | (None, 0, _) => return true,
        (Some(_), 0, _) => (
            format!("path of {place} is \"{path}\", which has no place for the number of a part"),
            "write {part} into the name of the file: path = \"out/events-{part}.jsonl\"",
        ),
        (Some(_), ..) => (
            format!("path of {place} is \"{path}\", and {{part}} goes once into the name of the file, not of a folder"),
            "for example path = \"out/events-{part}.jsonl\"",
        ),
        (None, ..) => (
            format!("path of {place} has {{part}}, and its output has no parts"),
            "say when a part is closed: roll = { size = \"64MiB\", every = \"1m\" }; or leave {part} out",
        ),
    };
    errors.push(Diagnostic::new(message).on(&written.path).hint(hint));
    false
}

fn roll_spec(place: &str, written: &Roll, errors: &mut Diagnostics) -> RollSpec {
    let Roll { span, size, every, idle } = written;
    if size.is_none() && every.is_none() && idle.is_none() {
        let message = format!("roll of {place} does not say when a part is closed");
        errors.push(Diagnostic::new(message).at(*span).hint("give size, every or idle: roll = { size = \"64MiB\" }"));
    }
    if let Some(size) = size.as_ref().filter(|size| size.value < LEAST_SIZE) {
        let message = format!("size of roll of {place} is {}", exact_size(size.value));
        errors.push(Diagnostic::new(message).on(size).hint(format!("at least {}", exact_size(LEAST_SIZE))));
    }
    for (key, time) in [("every", every), ("idle", idle)] {
        if let Some(time) = time.as_ref().filter(|time| !(SHORTEST..=LONGEST).contains(&time.value)) {
            let message = format!("{key} of roll of {place} is {}", format_duration(time.value));
            errors.push(Diagnostic::new(message).on(time).hint("10ms to 8760h"));
        }
    }
    let time = |written: &Option<Spanned<Duration>>| written.as_ref().map(|time| time.value);
    RollSpec { size: size.as_ref().map(|size| size.value), every: time(every), idle: time(idle) }
}

/// Checks that the appended text is not packed: a run that is killed would leave half a member in the middle of the
/// file, and what is appended behind it could not be unpacked.
fn require_plain(place: &str, written: &FileSink, append: &Spanned<bool>, errors: &mut Diagnostics) {
    let by_name = written.path.value.to_ascii_lowercase();
    let packed = match &written.compression {
        Some(compression) => compression.value != "none",
        None => by_name.ends_with(".gz") || by_name.ends_with(".zst"),
    };
    if packed {
        let message = format!("{place} appends to \"{}\", which is packed", written.path.value);
        let hint = "append writes plain text: compression = \"none\", or write parts with roll";
        errors.push(Diagnostic::new(message).on(append).hint(hint));
    }
}
