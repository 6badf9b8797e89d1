use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::{AmbiguousOffset, TimeZone};

use sage_plan::TimeFormat;

/// The reason why a text is no time.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NoTime(pub(super) &'static str);

/// Parses a moment, in microseconds since 1970-01-01T00:00:00Z. Finer digits are cut off, towards the past. `timezone`
/// is for times that have none.
pub(super) fn microseconds(text: &str, format: &TimeFormat, timezone: Option<&TimeZone>) -> Result<i64, NoTime> {
    let text = text.trim_ascii();
    match format {
        TimeFormat::Rfc3339 => rfc3339(text, timezone),
        TimeFormat::Unix { a_second } => from_number(text, *a_second),
        TimeFormat::Pattern(pattern) => by_pattern(text, pattern, timezone),
    }
}

fn rfc3339(text: &str, timezone: Option<&TimeZone>) -> Result<i64, NoTime> {
    const NO_TIME: NoTime = NoTime("it is no RFC 3339 time, such as 2026-11-30T10:00:00Z");
    match (text.parse::<Timestamp>(), timezone) {
        (Ok(time), _) => Ok(micros(time)),
        (Err(_), None) => match text.parse::<DateTime>() {
            Ok(_) => Err(NoTime("it has no zone: write an offset or Z, or set timezone")),
            Err(_) => Err(NO_TIME),
        },
        (Err(_), Some(zone)) => in_zone(text.parse().map_err(|_| NO_TIME)?, zone),
    }
}

fn by_pattern(text: &str, pattern: &str, timezone: Option<&TimeZone>) -> Result<i64, NoTime> {
    let time = BrokenDownTime::parse(pattern, text).map_err(|_| NoTime("it does not have the form of the pattern"))?;
    let no_time = |_| NoTime("there is no such time");
    match timezone {
        None => time.to_timestamp().map(micros).map_err(no_time),
        Some(zone) => in_zone(time.to_datetime().map_err(no_time)?, zone),
    }
}

/// The moment of a local time. Where clocks change, there may be none, or two.
fn in_zone(time: DateTime, zone: &TimeZone) -> Result<i64, NoTime> {
    let moment = zone.to_ambiguous_timestamp(time);
    match moment.offset() {
        AmbiguousOffset::Gap { .. } => Err(NoTime("a clock change leaves this time out in its zone")),
        AmbiguousOffset::Fold { .. } => Err(NoTime("a clock change makes this time twice in its zone")),
        AmbiguousOffset::Unambiguous { .. } => {
            moment.unambiguous().map(micros).map_err(|_| NoTime("it is too far away"))
        }
    }
}

fn micros(time: Timestamp) -> i64 {
    // Every time of a Timestamp fits.
    i64::try_from(time.as_nanosecond().div_euclid(1000)).unwrap_or(i64::MAX)
}

fn from_number(text: &str, a_second: u32) -> Result<i64, NoTime> {
    const NO_NUMBER: NoTime = NoTime("it is no number");
    /// Digits after the decimal point that are used.
    const DIGITS: usize = 9;
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) || (digits.ends_with('.')) {
        return Err(NO_NUMBER);
    }
    let whole: i128 = whole.parse().map_err(|_| NoTime("it is too far away"))?;
    let mut billionths: i128 = 0;
    for digit in fraction.bytes().chain(std::iter::repeat(b'0')).take(DIGITS) {
        billionths = billionths * 10 + i128::from(digit - b'0');
    }
    // Digits that are cut off a negative time still put it further into the past.
    if negative && fraction.bytes().skip(DIGITS).any(|digit| digit != b'0') {
        billionths += 1;
    }
    let value = whole.checked_mul(1_000_000_000).ok_or(NoTime("it is too far away"))? + billionths;
    let value = if negative { -value } else { value };
    let trillionths_of_a_microsecond =
        value.checked_mul(1_000_000_000 / i128::from(a_second)).ok_or(NoTime("it is too far away"))?;
    i64::try_from(trillionths_of_a_microsecond.div_euclid(1_000_000_000_000)).map_err(|_| NoTime("it is too far away"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_microseconds_in_every_format() {
        let unix = |a_second| TimeFormat::Unix { a_second };
        let rfc3339 = || TimeFormat::Rfc3339;
        let pattern = |pattern: &str| TimeFormat::Pattern(pattern.to_owned());
        const NO_ZONE: &str = "it has no zone: write an offset or Z, or set timezone";
        const NO_RFC: &str = "it is no RFC 3339 time, such as 2026-11-30T10:00:00Z";
        let cases = [
            ("1970-01-01T00:00:01Z", rfc3339(), Ok(1_000_000)),
            ("1970-01-01T01:00:00.5+01:00", rfc3339(), Ok(500_000)),
            (" 1970-01-01 00:00:00.000001999Z ", rfc3339(), Ok(1)),
            ("1969-12-31T23:59:59Z", rfc3339(), Ok(-1_000_000)),
            ("1969-12-31T23:59:59.999999999Z", rfc3339(), Ok(-1)),
            ("1970-01-01T00:00:00.999999999Z", rfc3339(), Ok(999_999)),
            ("2016-12-31T23:59:60Z", rfc3339(), Ok(1_483_228_799_000_000)),
            ("2024-02-29T00:00:00Z", rfc3339(), Ok(1_709_164_800_000_000)),
            ("2023-02-29T00:00:00Z", rfc3339(), Err(NO_RFC)),
            ("9999-12-30T22:00:00Z", rfc3339(), Ok(253_402_207_200_000_000)),
            ("2013-01-01 05:00:00", rfc3339(), Err(NO_ZONE)),
            ("2013-01-01", rfc3339(), Err(NO_ZONE)),
            ("NA", rfc3339(), Err(NO_RFC)),
            ("1", unix(1), Ok(1_000_000)),
            ("1.25", unix(1), Ok(1_250_000)),
            ("-1", unix(1000), Ok(-1000)),
            ("1500.5", unix(1000), Ok(1_500_500)),
            ("7", unix(1_000_000), Ok(7)),
            ("9223372036854775807", unix(1_000_000), Ok(i64::MAX)),
            ("-9223372036854775808", unix(1_000_000), Ok(i64::MIN)),
            ("9223372036854775808", unix(1_000_000), Err("it is too far away")),
            ("1999", unix(1_000_000_000), Ok(1)),
            ("-1", unix(1_000_000_000), Ok(-1)),
            ("-0.0000000001", unix(1), Ok(-1)),
            ("", unix(1), Err("it is no number")),
            ("1.", unix(1), Err("it is no number")),
            ("1e3", unix(1), Err("it is no number")),
            ("--1", unix(1), Err("it is no number")),
            ("99999999999999999999", unix(1), Err("it is too far away")),
            ("9999999999999999999999999999999999999999", unix(1), Err("it is too far away")),
            ("01/Jan/1970:00:00:01 +0000", pattern("%d/%b/%Y:%H:%M:%S %z"), Ok(1_000_000)),
            ("1970", pattern("%d/%b/%Y:%H:%M:%S %z"), Err("it does not have the form of the pattern")),
        ];
        for (text, format, expected) in cases {
            assert_eq!(microseconds(text, &format, None), expected.map_err(NoTime), "{text:?} as {format:?}");
        }
    }

    #[test]
    fn times_without_a_zone_are_those_of_the_timezone_and_a_clock_change_is_said() {
        let berlin = jiff::tz::TimeZoneDatabase::bundled().get("Europe/Berlin").unwrap();
        let german = || TimeFormat::Pattern("%d.%m.%Y %H:%M".to_owned());
        let cases = [
            ("2026-07-01T12:00:00", TimeFormat::Rfc3339, Ok("2026-07-01T10:00:00Z")),
            ("2026-01-01 12:00:00", TimeFormat::Rfc3339, Ok("2026-01-01T11:00:00Z")),
            ("2026-01-01", TimeFormat::Rfc3339, Ok("2025-12-31T23:00:00Z")),
            ("2026-07-01T12:00:00Z", TimeFormat::Rfc3339, Ok("2026-07-01T12:00:00Z")),
            ("2026-07-01T12:00:00-05:00", TimeFormat::Rfc3339, Ok("2026-07-01T17:00:00Z")),
            ("1969-07-01 12:00", german(), Err("it does not have the form of the pattern")),
            ("01.07.1969 12:00", german(), Ok("1969-07-01T11:00:00Z")),
            ("29.03.2026 02:30", german(), Err("a clock change leaves this time out in its zone")),
            ("25.10.2026 02:30", german(), Err("a clock change makes this time twice in its zone")),
            ("25.10.2026 03:00", german(), Ok("2026-10-25T02:00:00Z")),
            ("31.02.2026 02:30", german(), Err("there is no such time")),
        ];
        for (text, format, expected) in cases {
            let expected = expected.map(|time| time.parse::<Timestamp>().unwrap().as_microsecond()).map_err(NoTime);
            assert_eq!(microseconds(text, &format, Some(&berlin)), expected, "{text:?} as {format:?}");
        }
    }
}
