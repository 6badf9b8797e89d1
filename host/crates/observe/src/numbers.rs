//! Numbers in a form that people read easily.

/// A count with thousands separators: `27,004`; from a thousand million on `1.2 G`, so that it stays within 11
/// characters.
pub(super) fn count(n: u64) -> String {
    if n >= 1_000_000_000 {
        return scaled(n, 1_000_000_000, "G");
    }
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A number per second: `0.5`, `950`, `21,954`, `12.3 M`.
pub(super) fn rate(per_second: f64) -> String {
    #[expect(clippy::cast_sign_loss, clippy::cast_possible_truncation, reason = "never negative; the cast saturates")]
    let whole = per_second.round() as u64;
    match per_second {
        r if r >= 10e6 => scaled(whole, 1_000_000, "M"),
        r if r >= 10.0 || r == 0.0 => count(whole),
        r => format!("{r:.1}"),
    }
}

/// A duration: `0 s`, `340 µs`, `1.2 ms`, `4.31 s`, `3 min 04 s`, `2 h 05 min`.
pub(super) fn time(seconds: f64) -> String {
    #[expect(clippy::cast_sign_loss, clippy::cast_possible_truncation, reason = "never negative; the cast saturates")]
    let whole = seconds.round() as u64;
    match seconds {
        s if s <= 0.0 => "0 s".to_owned(),
        s if s < 1e-3 => format!("{:.0} µs", (s * 1e6).max(1.0)),
        s if s < 0.1 => format!("{:.1} ms", s * 1e3),
        s if s < 60.0 => format!("{s:.2} s"),
        s if s < 3600.0 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole / 60 % 60),
    }
}

/// A name of at most `width` characters. A longer name is cut and ends with `…`.
pub(super) fn shortened(name: &str, width: usize) -> String {
    if name.chars().count() <= width {
        return name.to_owned();
    }
    name.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

/// `n / size` with the unit, with one digit after the point below 100, unless the digit is 0.
fn scaled(n: u64, size: u64, unit: &str) -> String {
    let tenths = u128::from(n) * 10 / u128::from(size);
    match (tenths / 10, tenths % 10) {
        (whole, 0) => format!("{} {unit}", count(u64::try_from(whole).unwrap_or(u64::MAX))),
        (whole, _) if whole >= 100 => format!("{} {unit}", count(u64::try_from(whole).unwrap_or(u64::MAX))),
        (whole, tenth) => format!("{whole}.{tenth} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well_at_every_size() {
        let counts = [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (27_004, "27,004"),
            (999_999_999, "999,999,999"),
            (1_234_567_890, "1.2 G"),
            (12_345_678_901, "12.3 G"),
        ];
        for (n, text) in counts {
            assert_eq!(count(n), text);
        }
        let rates = [(0.0, "0"), (0.52, "0.5"), (949.6, "950"), (21_954.2, "21,954"), (12_345_678.0, "12.3 M")];
        for (r, text) in rates {
            assert_eq!(rate(r), text);
        }
        let times = [
            (0.0, "0 s"),
            (1e-9, "1 µs"),
            (0.00034, "340 µs"),
            (0.0012, "1.2 ms"),
            (4.314, "4.31 s"),
            (184.2, "3 min 04 s"),
            (7500.0, "2 h 05 min"),
        ];
        for (s, text) in times {
            assert_eq!(time(s), text);
        }
        assert_eq!((shortened("abc", 3), shortened("abcd", 3)), ("abc".to_owned(), "ab…".to_owned()));
    }
}
