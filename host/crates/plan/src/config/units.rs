use std::time::Duration;

use bytesize::Unit;
use thiserror::Error;

/// The error for a size or a duration that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UnitError {
    /// The text does not begin with a number, or the number is malformed.
    #[error("\"{written}\" does not begin with a plain number")]
    Number {
        /// The text as it was written.
        written: String,
    },
    /// The text has no unit.
    #[error("\"{written}\" has no unit")]
    NoUnit {
        /// The text as it was written.
        written: String,
    },
    /// The unit is unknown.
    #[error("unknown unit \"{unit}\" in \"{written}\"")]
    Unit {
        /// The text as it was written.
        written: String,
        /// The unknown unit.
        unit: String,
    },
    /// The value is not a whole number of the smallest unit.
    #[error("\"{written}\" is not a whole number of {smallest}")]
    NotWhole {
        /// The text as it was written.
        written: String,
        /// Name of the smallest unit.
        smallest: &'static str,
    },
    /// The value is larger than the counter can hold.
    #[error("\"{written}\" is too large")]
    TooLarge {
        /// The text as it was written.
        written: String,
    },
}

/// Units of a size, from small to large.
const SIZES: [(&str, Unit); 12] = [
    ("B", Unit::Byte),
    ("kB", Unit::KiloByte),
    ("KB", Unit::KiloByte),
    ("KiB", Unit::KibiByte),
    ("MB", Unit::MegaByte),
    ("MiB", Unit::MebiByte),
    ("GB", Unit::GigaByte),
    ("GiB", Unit::GibiByte),
    ("TB", Unit::TeraByte),
    ("TiB", Unit::TebiByte),
    ("PB", Unit::PetaByte),
    ("PiB", Unit::PebiByte),
];

/// Units of a duration, with their length in microseconds.
const DURATIONS: [(&str, u64); 5] =
    [("us", 1), ("ms", 1_000), ("s", 1_000_000), ("m", 60_000_000), ("h", 3_600_000_000)];

/// Parses a size in bytes, such as `8GB` (10^9), `8GiB` (2^30), `1.5GiB` or `4096`.
///
/// # Errors
/// [`UnitError`] for a text that is not a size.
pub fn parse_size(written: &str) -> Result<u64, UnitError> {
    let (number, unit) = split(written)?;
    let factor = match SIZES.iter().find(|(name, _)| *name == unit) {
        Some((_, unit)) => unit.clone() * 1,
        None if unit.is_empty() => 1,
        None => return Err(UnitError::Unit { written: written.to_owned(), unit: unit.to_owned() }),
    };
    scale(written, number, factor, "bytes")
}

/// Parses a duration, such as `500ms`, `10s`, `1.5s`, `2m` or `1h`.
///
/// # Errors
/// [`UnitError`] for a text that is not a duration.
pub fn parse_duration(written: &str) -> Result<Duration, UnitError> {
    let (number, unit) = split(written)?;
    let factor = match DURATIONS.iter().find(|(name, _)| *name == unit) {
        Some((_, factor)) => *factor,
        None if unit.is_empty() => return Err(UnitError::NoUnit { written: written.to_owned() }),
        None => return Err(UnitError::Unit { written: written.to_owned(), unit: unit.to_owned() }),
    };
    scale(written, number, factor, "microseconds").map(Duration::from_micros)
}

/// Formats a duration in the largest unit that divides it, in the notation of the pipeline file: `90s`,
/// `1500us`, `0s`.
#[must_use]
pub fn format_duration(duration: Duration) -> String {
    let micros = duration.as_micros();
    // Minutes are left out: "90s" is as easy to read as "1.5m", and a value in seconds stays in seconds.
    let units = DURATIONS.iter().rev().filter(|(name, _)| *name != "m");
    match units
        .into_iter()
        .find(|(_, factor)| micros >= u128::from(*factor) && micros.is_multiple_of(u128::from(*factor)))
    {
        Some((name, factor)) => format!("{}{name}", micros / u128::from(*factor)),
        None => "0s".to_owned(),
    }
}

/// Formats a number for people: a very large or very small one with an exponent.
#[must_use]
pub fn format_number(number: f64) -> String {
    let plain = number == 0.0 || !number.is_finite() || (1e-6..1e15).contains(&number.abs());
    if plain { number.to_string() } else { format!("{number:e}") }
}

/// The number in units of 1/10,000. `None` unless it is 0 or above, in steps of 0.0001, and small enough to be
/// exact.
#[must_use]
pub fn ten_thousandths(number: f64) -> Option<u64> {
    let scaled = (number * 10_000.0).round();
    // Decimal fractions are not exact in binary, so a relative difference of 1e-12 from a step is accepted.
    let exact = (0.0..=1e15).contains(&scaled) && (scaled / 10_000.0 - number).abs() <= number.abs() * 1e-12;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked: whole, from 0 to 10^15")]
    exact.then_some(scaled as u64)
}

/// The hint for a size that cannot be read.
pub(super) fn size_hint(error: &UnitError) -> String {
    if let UnitError::Unit { written, .. } | UnitError::Number { written } = error
        && parse_size(written.trim()).is_ok()
    {
        return format!("write \"{}\", without the space around it", written.trim());
    }
    if let UnitError::Unit { unit, .. } = error
        && let Some(letter @ ('K' | 'k' | 'M' | 'G' | 'T' | 'P')) = unit.chars().next()
    {
        let letter = letter.to_ascii_uppercase();
        return format!("write {letter}B for powers of 1000 or {letter}iB for powers of 1024");
    }
    "sizes are \"8GB\" (10^9), \"8GiB\" (2^30), \"512MB\" or a plain number of bytes".to_owned()
}

/// The hint for a duration that cannot be read.
pub(super) fn duration_hint(error: &UnitError) -> String {
    let unspaced = |written: &str| parse_duration(written.trim()).is_ok().then(|| written.trim().to_owned());
    match error {
        UnitError::NoUnit { written } if parse_duration(&format!("{written}s")).is_ok() => {
            format!("write \"{written}s\" for seconds, or \"{written}ms\", \"{written}m\", \"{written}h\"")
        }
        UnitError::Unit { written, .. } | UnitError::Number { written } => match unspaced(written) {
            Some(meant) => format!("write \"{meant}\", without the space around it"),
            None => DURATION_HINT.to_owned(),
        },
        _ => DURATION_HINT.to_owned(),
    }
}

/// The general hint about durations.
pub(super) const DURATION_HINT: &str = "durations are \"500ms\", \"10s\", \"2m\" or \"1h\"";

fn split(written: &str) -> Result<(&str, &str), UnitError> {
    let end = written.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(written.len());
    let (number, unit) = written.split_at(end);
    if number.is_empty() {
        return Err(UnitError::Number { written: written.to_owned() });
    }
    Ok((number, unit.trim_start_matches(' ')))
}

/// `number` times `factor`, without rounding.
fn scale(written: &str, number: &str, factor: u64, smallest: &'static str) -> Result<u64, UnitError> {
    let bad_number = || UnitError::Number { written: written.to_owned() };
    let too_large = || UnitError::TooLarge { written: written.to_owned() };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return Err(bad_number());
    }
    let fraction = fraction.trim_end_matches('0');
    let places = u32::try_from(fraction.len()).map_err(|_| too_large())?;
    let divisor = 10_u128.checked_pow(places).ok_or_else(too_large)?;
    let mantissa: u128 = format!("{whole}{fraction}").parse().map_err(|_| too_large())?;
    let scaled = mantissa.checked_mul(u128::from(factor)).ok_or_else(too_large)?;
    if scaled % divisor != 0 {
        return Err(UnitError::NotWhole { written: written.to_owned(), smallest });
    }
    u64::try_from(scaled / divisor).map_err(|_| too_large())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_numbers_are_shown_as_people_write_them() {
        let durations = [
            (0, "0s"),
            (1, "1us"),
            (1_500, "1500us"),
            (500_000, "500ms"),
            (90_000_000, "90s"),
            (120_000_000, "120s"),
            (90_000_000_000, "25h"),
        ];
        for (micros, shown) in durations {
            assert_eq!(format_duration(Duration::from_micros(micros)), shown);
            assert_eq!(parse_duration(shown), Ok(Duration::from_micros(micros)));
        }
        for (number, shown) in
            [(1e300, "1e300"), (-5.0, "-5"), (0.0, "0"), (1.5, "1.5"), (8e7, "80000000"), (1e-9, "1e-9")]
        {
            assert_eq!(format_number(number), shown);
        }
    }

    #[test]
    fn sizes_are_exact() {
        let cases: [(&str, Result<u64, &str>); 17] = [
            ("8GB", Ok(8_000_000_000)),
            ("8GiB", Ok(8 << 30)),
            ("512MB", Ok(512_000_000)),
            ("64 KiB", Ok(64 << 10)),
            ("1.5GiB", Ok(3 << 29)),
            ("4096", Ok(4096)),
            ("0", Ok(0)),
            ("18446744073709551615", Ok(u64::MAX)),
            ("18446744073709551616", Err("\"18446744073709551616\" is too large")),
            ("99999PiB", Err("\"99999PiB\" is too large")),
            ("1.5", Err("\"1.5\" is not a whole number of bytes")),
            ("0.3KiB", Err("\"0.3KiB\" is not a whole number of bytes")),
            ("8G", Err("unknown unit \"G\" in \"8G\"")),
            ("-1GB", Err("\"-1GB\" does not begin with a plain number")),
            ("1.2.3GB", Err("\"1.2.3GB\" does not begin with a plain number")),
            ("", Err("\"\" does not begin with a plain number")),
            ("GB", Err("\"GB\" does not begin with a plain number")),
        ];
        for (written, expected) in cases {
            assert_eq!(parse_size(written).map_err(|e| e.to_string()), expected.map_err(str::to_owned), "{written}");
        }
    }

    #[test]
    fn amounts_come_in_steps_of_a_ten_thousandth() {
        let cases = [(0.0, Some(0)), (0.5, Some(5_000)), (0.0001, Some(1)), (0.3, Some(3_000)), (4.0, Some(40_000))];
        let refused = [0.00001, 0.12345, -1.0, f64::NAN, f64::INFINITY, 1e300].map(|number| (number, None));
        for (number, expected) in cases.into_iter().chain(refused) {
            assert_eq!(ten_thousandths(number), expected, "{number}");
        }
    }

    #[test]
    fn durations_need_a_unit() {
        let cases: [(&str, Result<u64, &str>); 7] = [
            ("500ms", Ok(500)),
            ("10s", Ok(10_000)),
            ("2m", Ok(120_000)),
            ("1.5s", Ok(1_500)),
            ("10", Err("\"10\" has no unit")),
            ("10 parsecs", Err("unknown unit \"parsecs\" in \"10 parsecs\"")),
            ("-5s", Err("\"-5s\" does not begin with a plain number")),
        ];
        for (written, expected) in cases {
            let found = parse_duration(written).map_err(|e| e.to_string());
            assert_eq!(found, expected.map(Duration::from_millis).map_err(str::to_owned), "{written}");
        }
    }
}
