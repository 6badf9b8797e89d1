//! Timestamps of RFC 3339 and dates of the calendar, between the years 0000 and 9999.

const MICROS: i64 = 1_000_000;
const DAY: i64 = 86_400;
/// Days of 0000-01-01 and of 9999-12-31, counted from 1970-01-01.
const FIRST_DAY: i64 = -719_528;
const LAST_DAY: i64 = 2_932_896;

/// Microseconds since the Unix epoch of an RFC 3339 timestamp. The zone is required; digits of the second beyond
/// the sixth are dropped; a leap second counts as the second before it.
pub(crate) fn timestamp(text: &[u8]) -> Option<i64> {
    let (day, rest) = text.split_at_checked(10)?;
    let days = i64::from(date(day)?);
    let (clock, mut rest) = rest.split_at_checked(9)?;
    let [b'T' | b't' | b' ', h1, h2, b':', m1, m2, b':', s1, s2] = *clock else { return None };
    let hour = pair(h1, h2).filter(|hour| *hour < 24)?;
    let minute = pair(m1, m2).filter(|minute| *minute < 60)?;
    let second = pair(s1, s2).filter(|second| *second <= 60)?.min(59);
    let mut micros = 0;
    if let [b'.', digits @ ..] = rest {
        let count = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, zone) = digits.split_at_checked(count).filter(|_| count > 0)?;
        for at in 0..6 {
            micros = micros * 10 + digits.get(at).map_or(0, |digit| i64::from(digit - b'0'));
        }
        rest = zone;
    }
    let offset = match *rest {
        [b'Z' | b'z'] => 0,
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let minutes = 60 * pair(h1, h2).filter(|hour| *hour < 24)? + pair(m1, m2).filter(|minute| *minute < 60)?;
            if sign == b'-' { -minutes } else { minutes }
        }
        _ => return None,
    };
    let seconds = days * DAY + hour * 3600 + (minute - offset) * 60 + second;
    // A zone can move the first and the last day out of the years that have four digits.
    (FIRST_DAY..=LAST_DAY).contains(&seconds.div_euclid(DAY)).then_some(seconds * MICROS + micros)
}

/// Days since the Unix epoch of a date in the form YYYY-MM-DD.
pub(crate) fn date(text: &[u8]) -> Option<i32> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = *text else { return None };
    let year = pair(y1, y2)? * 100 + pair(y3, y4)?;
    let (month, day) = (pair(m1, m2)?, pair(d1, d2)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i64::from(leap),
        _ => return None,
    };
    if !(1..=length).contains(&day) {
        return None;
    }
    // The year begins in March, so that the leap day is its last (Hinnant, "chrono-compatible low-level date
    // algorithms").
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    i32::try_from(days + (153 * month + 2) / 5 + day - 1 - 719_468).ok()
}

#[inline]
fn pair(tens: u8, ones: u8) -> Option<i64> {
    (tens.is_ascii_digit() && ones.is_ascii_digit()).then(|| i64::from(tens - b'0') * 10 + i64::from(ones - b'0'))
}

/// Prints a timestamp in UTC, with no, three, or six digits of a second. Returns `None` for a year that RFC 3339
/// cannot express.
pub(crate) fn print_timestamp(micros: i64, out: &mut Vec<u8>) -> Option<()> {
    let seconds = micros.div_euclid(MICROS);
    print_day(seconds.div_euclid(DAY), out)?;
    let clock = u32::try_from(seconds.rem_euclid(DAY)).ok()?;
    let fraction = u32::try_from(micros.rem_euclid(MICROS)).ok()?;
    let ([h1, h2], [m1, m2], [s1, s2]) = (digits(clock / 3600), digits(clock / 60 % 60), digits(clock % 60));
    out.extend_from_slice(&[b'T', h1, h2, b':', m1, m2, b':', s1, s2]);
    if fraction != 0 {
        out.push(b'.');
        if fraction % 1000 == 0 {
            out.extend_from_slice(&digits::<3>(fraction / 1000));
        } else {
            out.extend_from_slice(&digits::<6>(fraction));
        }
    }
    out.push(b'Z');
    Some(())
}

/// Prints a date as YYYY-MM-DD. Returns `None` for a year below 0 or above 9999.
pub(crate) fn print_date(days: i32, out: &mut Vec<u8>) -> Option<()> {
    print_day(days.into(), out)
}

fn print_day(days: i64, out: &mut Vec<u8>) -> Option<()> {
    if !(FIRST_DAY..=LAST_DAY).contains(&days) {
        return None;
    }
    // Counted from the March of a year 400 years before year 0, so that no number is negative.
    let days = u32::try_from(days + 719_468 + 146_097).ok()?;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (year, month) = (year + era * 400 - 400, if month < 10 { month + 3 } else { month - 9 });
    let [y1, y2, y3, y4] = digits(year + u32::from(month <= 2));
    let ([m1, m2], [d1, d2]) = (digits(month), digits(day));
    out.extend_from_slice(&[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2]);
    Some(())
}

/// The last `N` digits of a number.
#[inline]
fn digits<const N: usize>(mut number: u32) -> [u8; N] {
    let mut digits = [b'0'; N];
    for digit in digits.iter_mut().rev() {
        *digit += u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
    }
    digits
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn timestamps_have_a_zone_and_six_digits() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("1970-01-01T00:00:00.0000019Z", Some(1)),
            ("1969-12-31T23:59:59.9999999Z", Some(-1)),
            ("1970-01-01T01:00:00.5+01:00", Some(500_000)),
            ("1970-01-01t00:00:00z", Some(0)),
            ("1970-01-01 00:00:00-00:30", Some(1_800_000_000)),
            ("2016-12-31T23:59:60Z", Some(1_483_228_799_000_000)),
            ("2024-02-29T00:00:00Z", Some(1_709_164_800_000_000)),
            ("2023-02-29T00:00:00Z", None),
            ("1970-01-01T00:00:00", None),
            ("1970-01-01T00:00:00.Z", None),
            ("0000-01-01T00:30:00+01:00", None),
            ("9999-12-31T23:30:00-01:00", None),
            ("9999-12-31T23:30:00+01:00", Some(253_402_295_400_000_000)),
            ("1970-01-01T24:00:00Z", None),
            ("1970-01-01T00:00Z", None),
            ("1970-01-01T00:00:00+0100", None),
            ("1970-01-01T00:00:00+24:00", None),
            ("1970-01-01", None),
            ("", None),
        ] {
            assert_eq!(timestamp(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn dates_are_days_of_the_calendar() {
        for (text, expected) in [
            ("1970-01-01", Some(0)),
            ("0000-01-01", Some(-719_528)),
            ("9999-12-31", Some(2_932_896)),
            ("2000-02-29", Some(11_016)),
            ("1900-02-29", None),
            ("2026-13-01", None),
            ("2026-00-01", None),
            ("2026-04-31", None),
            ("2026-4-01", None),
        ] {
            assert_eq!(date(text.as_bytes()), expected, "{text}");
        }
    }

    proptest! {
        /// jiff, which reads the times of events, is the reference.
        #[test]
        fn a_timestamp_is_the_moment_that_jiff_reads(
            (year, month, day) in (1i64..=9998, 1i64..=12, 1i64..=31),
            (hour, minute, second) in (0i64..25, 0i64..61, 0i64..61),
            fraction in "(\\.[0-9]{1,9})?",
            zone in "[Zz]|[+-](0[0-9]|1[0-9]|2[0-3]):[0-5][0-9]",
        ) {
            let text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}{zone}");
            let reference = text.parse::<jiff::Timestamp>();
            if let Some(found) = timestamp(text.as_bytes()) {
                let micros = reference.unwrap().as_nanosecond().div_euclid(1000);
                // A leap second counts as the second before it in both, with the digits that it has.
                prop_assert!(i128::from(found) == micros || second == 60, "{} {} {}", text, found, micros);
            } else {
                prop_assert!(reference.is_err(), "{}", text);
            }
        }

        #[test]
        fn a_printed_time_is_read_as_the_same(micros in FIRST_DAY * DAY * MICROS..(LAST_DAY + 1) * DAY * MICROS) {
            for micros in [micros, micros / 1000 * 1000, micros.div_euclid(MICROS) * MICROS] {
                let mut text = Vec::new();
                print_timestamp(micros, &mut text).unwrap();
                prop_assert_eq!(timestamp(&text), Some(micros));
            }
            let days = i32::try_from(micros.div_euclid(MICROS * DAY)).unwrap();
            let mut text = Vec::new();
            print_date(days, &mut text).unwrap();
            prop_assert_eq!(date(&text), Some(days));
        }
    }

    #[test]
    fn years_of_more_digits_are_not_printed() {
        let mut out = Vec::new();
        assert_eq!(print_timestamp(i64::MAX, &mut out), None);
        assert_eq!(print_timestamp(i64::MIN, &mut out), None);
        assert_eq!(print_date(2_932_897, &mut out), None);
        assert!(out.is_empty());
    }
}
