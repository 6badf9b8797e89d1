//! RFC 3339: the text of instants and days. A day is counted from 1970-01-01 in the Gregorian calendar.

const DAY: i64 = 86_400_000_000;

/// Reads a day, such as `2013-01-31`.
pub(super) fn days(text: &str) -> Option<i32> {
    let mut parts = text.splitn(3, '-').map(number);
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    let days = of_date(year, month, day);
    // A day that does not exist, such as the 31st of February, is another day when it is written.
    (text.len() == 10 && date(days) == text).then_some(days as i32)
}

/// Reads an instant, such as `2013-01-31T12:00:00.5+01:00`. Digits beyond microseconds are dropped.
pub(super) fn microseconds(text: &str) -> Option<i64> {
    let (date, rest) = text.split_at_checked(10)?;
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let (time, zone) = rest.split_at(rest.find(['Z', 'z', '+', '-'])?);
    let (clock, fraction) = time.split_once('.').map_or((time, "0"), |(clock, fraction)| (clock, fraction));
    let mut parts = clock.split(':').map(number);
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    if clock.len() != 8 || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    number(fraction)?;
    let micros: String = fraction.chars().chain("000000".chars()).take(6).collect();
    let offset = if matches!(zone, "Z" | "z") {
        0
    } else {
        let (sign, zone) = zone.split_at(1);
        let (hours, minutes) = zone.split_once(':')?;
        (number(hours)? * 60 + number(minutes)?) * if sign == "-" { -60 } else { 60 }
    };
    let seconds = hour * 3600 + minute * 60 + second - offset;
    Some(i64::from(days(date)?) * DAY + seconds * 1_000_000 + number(&micros)?)
}

/// Writes an instant, with no, three or six digits behind the second.
pub(super) fn timestamp(microseconds: i64) -> String {
    let (days, rest) = (microseconds.div_euclid(DAY), microseconds.rem_euclid(DAY));
    let (seconds, micros) = (rest / 1_000_000, rest % 1_000_000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let fraction = match micros {
        0 => String::new(),
        micros if micros % 1000 == 0 => format!(".{:03}", micros / 1000),
        micros => format!(".{micros:06}"),
    };
    format!("{}T{hour:02}:{minute:02}:{second:02}{fraction}Z", date(days))
}

/// Writes a day.
pub(super) fn date(days: i64) -> String {
    // A year that begins in March ends with the leap day. 400 years have 146,097 days.
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

fn of_date(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let from_march = (month + 9) % 12;
    let of_year = (153 * from_march + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Reads digits without a sign.
fn number(text: &str) -> Option<i64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::{DAY, date, days, microseconds, timestamp};

    #[test]
    fn every_day_is_read_back_from_its_text() {
        for day in (-700_000..2_900_000).step_by(37) {
            assert_eq!(days(&date(day)), Some(day as i32));
        }
        assert_eq!((days("1970-01-01"), days("2000-03-01")), (Some(0), Some(11_017)));
        assert_eq!((days("2013-02-29"), days("2013-1-1"), days("today")), (None, None, None));
    }

    #[test]
    fn instants_have_zones_and_microseconds() {
        assert_eq!(microseconds("1970-01-02T01:00:00.5+01:00"), Some(DAY + 500_000));
        assert_eq!(microseconds("1969-12-31T23:59:59.9999999Z"), Some(-1));
        assert_eq!(timestamp(-1), "1969-12-31T23:59:59.999999Z");
        assert_eq!(timestamp(DAY), "1970-01-02T00:00:00Z");
        for odd in ["1970-01-01T00:00:00", "1970-01-01", "1970-01-01T25:00:00Z", "1970-01-01T00:00:0xZ"] {
            assert_eq!(microseconds(odd), None, "{odd}");
        }
    }
}
