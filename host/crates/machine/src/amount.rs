//! Amounts as text for people.

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
    fn ten_thousandths_are_decimals() {
        for (amount, shown) in [(0, "0"), (1, "0.0001"), (2_500, "0.25"), (10_000, "1"), (15_000, "1.5")] {
            assert_eq!(ten_thousandths(amount), shown);
        }
    }
}
