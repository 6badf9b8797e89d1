use std::time::Duration;

use crate::config::{Diagnostic, Diagnostics, Source, SourceKind, Spanned, format_duration};

/// How the watermark of a source follows from the event times of its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WatermarkSpec {
    /// How much older than the newest record a record may be without being late.
    pub out_of_order: Duration,
    /// How long the source may be without a record before others no longer wait for it.
    pub idle: Option<Duration>,
    /// How far ahead of the clock a record's time may be and still move the watermark.
    pub max_ahead: Duration,
    /// Whether the watermark goes on with the clock while the source is idle.
    pub idle_advances: bool,
}

impl WatermarkSpec {
    /// `out_of_order`, if the file does not set it.
    pub const OUT_OF_ORDER: Duration = Duration::from_secs(5);
    /// `max_ahead`, if the file does not set it.
    pub const MAX_AHEAD: Duration = Duration::from_secs(300);
    /// A source that pauses between two reads is not idle.
    const SHORTEST_IDLE: Duration = Duration::from_millis(100);
    /// Longest of all times. Event times have some 290,000 years in both directions.
    const LONGEST: Duration = Duration::from_secs(366 * 86_400);

    /// The watermark of a source, whose name in messages is `place`.
    pub(super) fn of(place: &str, source: &Source, errors: &mut Diagnostics) -> Option<Self> {
        let written = source.watermark.as_ref()?;
        let what = format!("watermark of {place}");
        let has_times = match &source.kind {
            Some(SourceKind::Generate(generate)) => generate.times.is_some(),
            // The records of a component, and of an embedder's source, may have times.
            kind => matches!(kind, Some(SourceKind::Component(_) | SourceKind::Provided(_)) | None),
        };
        if source.event_time.is_none() && !has_times {
            let message = format!("{what} has no event times to follow");
            let hint = match source.kind {
                Some(SourceKind::Generate(_)) => "give the records times: generate = { times = { step = \"1ms\" } }",
                _ => "name the field of the time: event_time = { field = \"ts\", format = \"rfc3339\" }",
            };
            errors.push(Diagnostic::new(message).at(written.span).hint(hint));
        }
        if written.idle_advances && written.idle.is_none() {
            let message = format!("idle_advances of {what} is set without idle");
            let hint = "say when the source counts as idle: idle = \"30s\"";
            errors.push(Diagnostic::new(message).at(written.span).hint(hint));
        }
        let mut bounded = |key: &str, least: Duration, value: &Option<Spanned<Duration>>| {
            let value = value.as_ref()?;
            if !(least..=Self::LONGEST).contains(&value.value) {
                let message = format!("{key} of {what} is {}", format_duration(value.value));
                let hint = format!("{} to 366 days", format_duration(least));
                errors.push(Diagnostic::new(message).on(value).hint(hint));
            }
            Some(value.value)
        };
        Some(Self {
            out_of_order: bounded("out_of_order", Duration::ZERO, &written.out_of_order).unwrap_or(Self::OUT_OF_ORDER),
            idle: bounded("idle", Self::SHORTEST_IDLE, &written.idle),
            max_ahead: bounded("max_ahead", Duration::ZERO, &written.max_ahead).unwrap_or(Self::MAX_AHEAD),
            idle_advances: written.idle_advances,
        })
    }
}
