use jiff::civil::date;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::{TimeZone, TimeZoneDatabase};

use super::FieldPath;
use crate::config::{self, Diagnostic, Diagnostics, Spanned, choose, closest};

/// The field of a record's event time, and how the time is written there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventTimeSpec {
    /// The field.
    pub field: FieldPath,
    /// How the time is written.
    pub format: TimeFormat,
    /// The zone of times without one. `None`: each time has a zone.
    pub timezone: Option<TimeZone>,
}

/// Format of a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TimeFormat {
    /// RFC 3339: `2026-11-30T10:00:00.5Z`, `2026-11-30 10:00:00+01:00`.
    Rfc3339,
    /// A number since 1970-01-01T00:00:00Z, with or without a fraction, in units of `1 / a_second` seconds.
    Unix {
        /// Units in a second: a power of ten, 1 to 10^9.
        a_second: u32,
    },
    /// A pattern of `strptime`, with or without a zone.
    Pattern(String),
}

/// The units of a second, with the names of their formats. `None` is RFC 3339.
const NAMES: [(&str, Option<u32>); 6] = [
    ("rfc3339", None),
    ("unix", Some(1)),
    ("unix_s", Some(1)),
    ("unix_ms", Some(1_000)),
    ("unix_us", Some(1_000_000)),
    ("unix_ns", Some(1_000_000_000)),
];

impl EventTimeSpec {
    /// The event time of a source, whose name in messages is `place`.
    pub(super) fn of(
        place: &str,
        written: &config::EventTime,
        field: Option<FieldPath>,
        errors: &mut Diagnostics,
    ) -> Option<Self> {
        let (format, has_zone) = match &written.format {
            None => (Some(TimeFormat::Rfc3339), None),
            Some(word) if word.value.contains('%') => pattern(place, word, errors).unzip(),
            Some(word) => (named(place, word, errors), None),
        };
        let timezone = written.timezone.as_ref().map(|word| (word, zone(place, word, errors)));
        if let (Some((word, _)), Some(format)) = (&timezone, &format)
            && let Some(reason) = without_effect(format, has_zone == Some(true))
        {
            let message = format!("timezone of event_time of {place} has no effect");
            errors.push(Diagnostic::new(message).on(word).hint(reason));
        }
        if let (Some(false), None, Some(word)) = (has_zone, &timezone, &written.format) {
            let message = format!("format of event_time of {place} is \"{}\", which has no zone", word.value);
            let hint = "say in which zone the times are: timezone = \"UTC\"; or add %z to the pattern";
            errors.push(Diagnostic::new(message).on(word).hint(hint));
        }
        let timezone = match timezone {
            Some((_, zone)) => Some(zone?),
            None => None,
        };
        Some(Self { field: field?, format: format?, timezone })
    }
}

fn named(place: &str, word: &Spanned<String>, errors: &mut Diagnostics) -> Option<TimeFormat> {
    let a_second = choose("format of event_time", place, word, &NAMES, errors)?;
    Some(a_second.map_or(TimeFormat::Rfc3339, |a_second| TimeFormat::Unix { a_second }))
}

/// A pattern that can be read, and whether times that it describes have a zone.
fn pattern(place: &str, word: &Spanned<String>, errors: &mut Diagnostics) -> Option<(TimeFormat, bool)> {
    let pattern = &word.value;
    // What it writes, it must be able to read.
    let sample =
        date(2026, 11, 30).at(22, 33, 44, 0).to_zoned_datetime(TimeZone::UTC).map_err(|error| error.to_string());
    let read = sample.and_then(|sample| {
        let text = BrokenDownTime::from(&sample).to_string(pattern).map_err(|error| error.to_string())?;
        let read = BrokenDownTime::parse(pattern, &text).map_err(|error| error.to_string())?;
        if read.iana_time_zone().is_some() {
            return Err("it has the name of a zone; offsets are read: %z".to_owned());
        }
        let has_zone = read.offset().is_some() || read.timestamp().is_some();
        if !has_zone {
            read.to_datetime().map_err(|error| error.to_string())?;
        }
        Ok(has_zone)
    });
    match read {
        Ok(has_zone) => Some((TimeFormat::Pattern(pattern.clone()), has_zone)),
        Err(reason) => {
            let message = format!("format of event_time of {place} is \"{pattern}\", which is no pattern of a time");
            errors.push(Diagnostic::new(message).on(word).hint(format!("{reason}; for example \"%d.%m.%Y %H:%M:%S\"")));
            None
        }
    }
}

fn zone(place: &str, word: &Spanned<String>, errors: &mut Diagnostics) -> Option<TimeZone> {
    let zones = TimeZoneDatabase::bundled();
    // The names of the database differ in case only by accident.
    match zones.get(&word.value) {
        Ok(zone) => Some(zone),
        Err(_) => {
            let message = format!("timezone of event_time of {place} is \"{}\"", word.value);
            let names: Vec<String> = zones.available().map(|name| name.to_string()).collect();
            let hint = match closest(&word.value, names.iter().map(String::as_str)) {
                Some(name) => format!("did you mean \"{name}\"?"),
                None => "an IANA name, for example \"Europe/Berlin\" or \"UTC\"".to_owned(),
            };
            errors.push(Diagnostic::new(message).on(word).hint(hint));
            None
        }
    }
}

/// Why a zone would never be used.
fn without_effect(format: &TimeFormat, has_zone: bool) -> Option<&'static str> {
    match format {
        TimeFormat::Unix { .. } => Some("numbers since 1970 are UTC: leave it out"),
        TimeFormat::Pattern(_) if has_zone => Some("the pattern has a zone: leave one of them out"),
        _ => None,
    }
}
