use std::time::Duration;

use super::Limits;
use super::role::Role;
use crate::config::{self, Diagnostic, Diagnostics, Spanned, format_duration, format_size};

/// Longest time limit. A call that takes a day hangs.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
/// Smallest log allowance, in bytes per second. The operator's name alone would fill a smaller one.
const LEAST_LOG: u64 = 1 << 10;
/// Largest `record_bytes`. Offsets in a batch have 32 bits; a quarter of their range leaves room for the rest
/// of a batch.
const MOST_RECORD: u64 = 1 << 30;
/// Largest `output_bytes_per_call`: half of the range of the offsets, see [`MOST_RECORD`].
const MOST_OUTPUT: u64 = 2 << 30;
/// Largest `restarts_in_a_row`. Restarts back off to one second each, so this number takes a week and a half.
const MOST_RESTARTS: u64 = 1_000_000;

/// The limits of a call: each in its range, and none made pointless by another.
pub(super) fn limits(place: &str, role: Role, written: &config::Limits, errors: &mut Diagnostics) -> Limits {
    let default = Limits::default();
    let mut time = |key, written: &Option<Spanned<Duration>>| {
        written.as_ref().and_then(|written| time_in_range(key, place, written, errors))
    };
    let cpu = time("cpu_time_per_call", &written.cpu_time_per_call);
    let wall = time("call_timeout", &written.call_timeout);
    let (cpu_time_per_call, call_timeout) = match (cpu, wall) {
        (None, None) => (default.cpu_time_per_call, default.call_timeout),
        (Some(cpu), None) => (cpu, default.call_timeout.max(cpu)),
        (None, Some(wall)) => (default.cpu_time_per_call.min(wall), wall),
        (Some(cpu), Some(wall)) => (cpu, wall),
    };
    if call_timeout < cpu_time_per_call {
        let message = format!(
            "call_timeout of {place} is {}, below its cpu_time_per_call of {}",
            format_duration(call_timeout),
            format_duration(cpu_time_per_call)
        );
        let mut error =
            Diagnostic::new(message).hint("waiting comes on top of computing: call_timeout is the longer one");
        if let (Some(wall), Some(cpu)) = (&written.call_timeout, &written.cpu_time_per_call) {
            error = error.on(wall).on(cpu);
        }
        errors.push(error);
    }

    let mut size = |key, written: &Option<Spanned<u64>>, least, most| {
        written.as_ref().and_then(|written| size_in_range(key, place, written, (least, most), errors))
    };
    let log = size("log_bytes_per_second", &written.log_bytes_per_second, LEAST_LOG, MOST_RECORD);
    let record = size("record_bytes", &written.record_bytes, 1, MOST_RECORD);
    let output = size("output_bytes_per_call", &written.output_bytes_per_call, 1, MOST_OUTPUT);
    let (record_bytes, output_bytes_per_call) = match (record, output) {
        (None, None) => (default.record_bytes, default.output_bytes_per_call),
        (Some(record), None) => (record, default.output_bytes_per_call.max(record)),
        (None, Some(output)) => (default.record_bytes.min(output), output),
        (Some(record), Some(output)) => (record, output),
    };
    if output_bytes_per_call < record_bytes {
        let message = format!(
            "output_bytes_per_call of {place} is {}, below its record_bytes of {}",
            format_size(output_bytes_per_call),
            format_size(record_bytes)
        );
        let mut error = Diagnostic::new(message).hint("a call must be able to send its largest record");
        if let (Some(output), Some(record)) = (&written.output_bytes_per_call, &written.record_bytes) {
            error = error.on(output).on(record);
        }
        errors.push(error);
    }
    let restarts_in_a_row = match &written.restarts_in_a_row {
        None => default.restarts_in_a_row,
        Some(restarts) => restarts_in_range(place, restarts, errors).unwrap_or(default.restarts_in_a_row),
    };
    let flush_interval = match &written.flush_interval {
        None => default.flush_interval,
        Some(interval) => flush_in_range(place, role, interval, errors).unwrap_or(default.flush_interval),
    };
    Limits {
        cpu_time_per_call,
        call_timeout,
        log_bytes_per_second: log.unwrap_or(default.log_bytes_per_second),
        record_bytes,
        output_bytes_per_call,
        restarts_in_a_row,
        flush_interval,
    }
}

fn time_in_range(key: &str, place: &str, written: &Spanned<Duration>, errors: &mut Diagnostics) -> Option<Duration> {
    let error = || Diagnostic::new(format!("{key} of {place} is {}", format_duration(written.value))).on(written);
    if written.value < Limits::SHORTEST {
        errors.push(error().hint(format!(
            "at least {}: the clock that stops guests ticks every millisecond",
            format_duration(Limits::SHORTEST)
        )));
        return None;
    }
    if written.value > LONGEST {
        errors.push(error().hint("at most 24h"));
        return None;
    }
    Some(written.value)
}

fn size_in_range(
    key: &str,
    place: &str,
    written: &Spanned<u64>,
    (least, most): (u64, u64),
    errors: &mut Diagnostics,
) -> Option<u64> {
    if (least..=most).contains(&written.value) {
        return Some(written.value);
    }
    let message = format!("{key} of {place} is {}", format_size(written.value));
    let hint = format!("{} to {}", format_size(least), format_size(most));
    errors.push(Diagnostic::new(message).on(written).hint(hint));
    None
}

fn restarts_in_range(place: &str, written: &Spanned<u64>, errors: &mut Diagnostics) -> Option<u32> {
    if written.value > MOST_RESTARTS {
        let message = format!("restarts_in_a_row of {place} is {}", written.value);
        errors.push(Diagnostic::new(message).on(written).hint(format!("at most {MOST_RESTARTS}")));
        return None;
    }
    u32::try_from(written.value).ok()
}

fn flush_in_range(place: &str, role: Role, written: &Spanned<Duration>, errors: &mut Diagnostics) -> Option<Duration> {
    if role != Role::Sink {
        let message = format!("{place} has a flush_interval");
        errors.push(Diagnostic::new(message).on(written).hint("flush_interval is for sinks: nothing else is flushed"));
        return None;
    }
    if written.value > LONGEST {
        let message = format!("flush_interval of {place} is {}", format_duration(written.value));
        errors.push(Diagnostic::new(message).on(written).hint("0s (after each batch) to 24h"));
        return None;
    }
    Some(written.value)
}
