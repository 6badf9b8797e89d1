//! Sizes in bytes as text, in two forms: one for values of a configuration, one for amounts. Neither has a
//! space between the number and the unit.

const BINARY: [(&str, u64); 4] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
/// Binary and decimal units, the largest first.
const UNITS: [(&str, u64); 7] = [
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
];

/// The exact form, for values of a configuration and their bounds: in the largest unit, binary or decimal, that
/// divides the size (`64KiB`, `8GB`), else in bytes (`1000 bytes`).
#[must_use]
pub fn exact_size(bytes: u64) -> String {
    match UNITS.iter().find(|(_, unit)| bytes >= *unit && bytes.is_multiple_of(*unit)) {
        Some((name, unit)) => format!("{}{name}", bytes / unit),
        None if bytes == 1 => "1 byte".to_owned(),
        None => format!("{bytes} bytes"),
    }
}

/// The short form, for amounts that are measured or added up: in the largest binary unit (`8GiB`), to a tenth
/// (`23.5GiB`). The tenths are rounded down, so that an available amount is never overstated.
#[must_use]
pub fn short_size(bytes: u64) -> String {
    let Some((name, unit)) = BINARY.into_iter().find(|(_, unit)| bytes >= *unit) else { return format!("{bytes}B") };
    let tenths = u128::from(bytes) * 10 / u128::from(unit);
    match (tenths / 10, tenths % 10) {
        (whole, _) if bytes.is_multiple_of(unit) => format!("{whole}{name}"),
        (whole, tenth) => format!("{whole}.{tenth}{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_shown_in_the_largest_unit_that_fits() {
        for (bytes, shown) in [
            (0, "0 bytes"),
            (1, "1 byte"),
            (1000, "1000 bytes"),
            (64 << 10, "64KiB"),
            (3 << 29, "1536MiB"),
            (8_000_000_000, "8GB"),
            (8 << 30, "8GiB"),
            (1 << 40, "1TiB"),
        ] {
            assert_eq!(exact_size(bytes), shown);
        }
    }

    #[test]
    fn short_sizes_are_never_overstated() {
        for (size, shown) in [
            (0, "0B"),
            (1023, "1023B"),
            (1000, "1000B"),
            (1 << 10, "1KiB"),
            (1536 << 20, "1.5GiB"),
            (256 << 20, "256MiB"),
            (8_000_000_000, "7.4GiB"),
            (8 << 30, "8GiB"),
            (25_276_514_304, "23.5GiB"),
            (u64::MAX, "16777215.9TiB"),
        ] {
            assert_eq!(short_size(size), shown);
        }
    }
}
