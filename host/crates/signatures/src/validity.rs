use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// The time in which a key counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Validity {
    /// From when on.
    pub(crate) after: Option<Timestamp>,
    /// Until when.
    pub(crate) before: Option<Timestamp>,
}

impl Validity {
    pub(crate) fn holds(&self, now: Timestamp) -> bool {
        self.after.is_none_or(|after| now >= after) && self.before.is_none_or(|before| now < before)
    }

    /// The time in words.
    pub(crate) fn words(&self) -> String {
        let bound = |word: &str, at: Option<Timestamp>| at.map(|at| format!("{word} {at:.0}"));
        let bounds: Vec<String> =
            [bound("from", self.after), bound("until", self.before)].into_iter().flatten().collect();
        bounds.join(" ")
    }
}

/// A time in the form of `ssh-keygen`: YYYYMMDD, with HHMM or HHMMSS behind it, and a Z. Without the Z it would be a
/// local time, which is another one on another machine.
pub(crate) fn time(written: &str) -> Result<Timestamp, String> {
    let wrong = || format!("\"{written}\" is no time: YYYYMMDDZ, YYYYMMDDHHMMZ or YYYYMMDDHHMMSSZ, in UTC");
    let digits = written.strip_suffix('Z').filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    let padded = match digits.ok_or_else(wrong)? {
        day if day.len() == 8 => format!("{day}000000"),
        minute if minute.len() == 12 => format!("{minute}00"),
        second if second.len() == 14 => second.to_owned(),
        _ => return Err(wrong()),
    };
    let at: DateTime = DateTime::strptime("%Y%m%d%H%M%S", padded).map_err(|_| wrong())?;
    TimeZone::UTC.to_timestamp(at).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_in_utc_and_say_so() {
        assert_eq!(time("20261201Z").unwrap().to_string(), "2026-12-01T00:00:00Z");
        assert_eq!(time("202612011530Z").unwrap().to_string(), "2026-12-01T15:30:00Z");
        assert_eq!(time("20261201153059Z").unwrap().to_string(), "2026-12-01T15:30:59Z");
        for wrong in ["20261201", "20261301Z", "2026Z", "Z", "", "2026120112Z", "+0261201Z", "２０２６Z"] {
            assert!(time(wrong).unwrap_err().contains("is no time"), "{wrong}");
        }
    }
}
