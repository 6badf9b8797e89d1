use jiff::Timestamp;

use sage_plan::TimeFormat;

/// The reason why a text is no time.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NoTime(pub(super) &'static str);

/// Parses a moment, in microseconds since 1970-01-01T00:00:00Z. Finer digits are cut off, towards the past.
pub(super) fn microseconds(text: &str, format: TimeFormat) -> Result<i64, NoTime> {
    match format {
        TimeFormat::Rfc3339 => text
            .trim_ascii()
            .parse::<Timestamp>()
            .map(Timestamp::as_microsecond)
            .map_err(|_| NoTime("it is no RFC 3339 time, such as 2026-11-30T10:00:00Z")),
        TimeFormat::Unix { a_second } => from_number(text.trim_ascii(), a_second),
    }
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
        let cases = [
            ("1970-01-01T00:00:01Z", TimeFormat::Rfc3339, Ok(1_000_000)),
            ("1970-01-01T01:00:00.5+01:00", TimeFormat::Rfc3339, Ok(500_000)),
            (" 1970-01-01 00:00:00.000001999Z ", TimeFormat::Rfc3339, Ok(1)),
            ("1969-12-31T23:59:59Z", TimeFormat::Rfc3339, Ok(-1_000_000)),
            ("2013-01-01 05:00:00", TimeFormat::Rfc3339, Err("it is no RFC 3339 time, such as 2026-11-30T10:00:00Z")),
            ("NA", TimeFormat::Rfc3339, Err("it is no RFC 3339 time, such as 2026-11-30T10:00:00Z")),
            ("1", unix(1), Ok(1_000_000)),
            ("1.25", unix(1), Ok(1_250_000)),
            ("-1", unix(1000), Ok(-1000)),
            ("1500.5", unix(1000), Ok(1_500_500)),
            ("7", unix(1_000_000), Ok(7)),
            ("1999", unix(1_000_000_000), Ok(1)),
            ("-1", unix(1_000_000_000), Ok(-1)),
            ("-0.0000000001", unix(1), Ok(-1)),
            ("", unix(1), Err("it is no number")),
            ("1.", unix(1), Err("it is no number")),
            ("1e3", unix(1), Err("it is no number")),
            ("--1", unix(1), Err("it is no number")),
            ("99999999999999999999", unix(1), Err("it is too far away")),
            ("9999999999999999999999999999999999999999", unix(1), Err("it is too far away")),
        ];
        for (text, format, expected) in cases {
            assert_eq!(microseconds(text, format), expected.map_err(NoTime), "{text:?} as {format:?}");
        }
    }
}
