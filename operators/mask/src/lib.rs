//! `mask`: replaces every digit by `#`. Shows a map that changes its record in place and returns nothing.

/// Hides account numbers, dates and the like, but not their length.
#[sage_guest::map]
pub fn mask(record: &mut [u8]) {
    for byte in record {
        // The byte is written in both cases, which lets the compiler process sixteen bytes at a time.
        *byte = if byte.is_ascii_digit() { b'#' } else { *byte };
    }
}

#[cfg(test)]
mod tests {
    use sage_guest::testing;
    use serde_json::json;

    use super::mask;

    #[test]
    fn digits_are_hidden_and_all_else_stays() {
        let mut lane = testing::Map::<mask>::open(json!({})).unwrap();
        let outcome = lane.run(["DE02 1203 0000 0000 2020 51", "", "no number", "7", "käse 2 €"]);
        assert_eq!(outcome.texts(), ["DE## #### #### #### #### ##", "", "no number", "#", "käse # €"]);
    }
}
