//! Amounts as text for people.

/// Bytes as a size in the syntax of a pipeline file: exact if a unit fits (`8GiB`, `8GB`), else to a tenth
/// (`23.5GiB`).
#[must_use]
pub fn bytes(bytes: u64) -> String {
    const BINARY: [(&str, u64); 4] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    const DECIMAL: [(&str, u64); 4] =
        [("TB", 1_000_000_000_000), ("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000)];
    let fits = |units: [(&'static str, u64); 4]| units.into_iter().find(|(_, unit)| bytes >= *unit);
    match (fits(BINARY), fits(DECIMAL)) {
        (Some((name, unit)), _) if bytes.is_multiple_of(unit) => format!("{}{name}", bytes / unit),
        (_, Some((name, unit))) if bytes.is_multiple_of(unit) => format!("{}{name}", bytes / unit),
        (Some((name, unit)), _) => {
            // Whole tenths, rounded down, so that the available amount is never overstated.
            let tenths = u128::from(bytes) * 10 / u128::from(unit);
            format!("{}.{}{name}", tenths / 10, tenths % 10)
        }
        (None, _) => format!("{bytes}B"),
    }
}

/// An amount in 1/10,000 as a decimal number: `0.25`, `3`.
#[must_use]
pub fn ten_thousandths(amount: u64) -> String {
    let (whole, rest) = (amount / 10_000, amount % 10_000);
    match rest {
        0 => whole.to_string(),
        _ => format!("{whole}.{}", format!("{rest:04}").trim_end_matches('0')),
    }
}

/// A count with its noun in singular or plural: `1 lane`, `2 lanes`.
#[must_use]
pub fn counted(count: u32, thing: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{count} {thing}{s}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_exact_where_a_unit_fits_and_never_overstated() {
        for (size, shown) in [
            (0, "0B"),
            (1023, "1023B"),
            (1000, "1kB"),
            (1 << 10, "1KiB"),
            (1536 << 20, "1.5GiB"),
            (256 << 20, "256MiB"),
            (8_000_000_000, "8GB"),
            (8 << 30, "8GiB"),
            (25_276_514_304, "23.5GiB"),
            (u64::MAX, "16777215.9TiB"),
        ] {
            assert_eq!(bytes(size), shown);
        }
    }

    #[test]
    fn ten_thousandths_are_decimals() {
        for (amount, shown) in [(0, "0"), (1, "0.0001"), (2_500, "0.25"), (10_000, "1"), (15_000, "1.5")] {
            assert_eq!(ten_thousandths(amount), shown);
        }
    }
}
