//! `mask`: puts `#` in place of every digit. A map that changes its record where it lies, and gives nothing.

/// Hides account numbers, dates and the like, and leaves how long they are.
#[sage_guest::map]
pub fn mask(record: &mut [u8]) {
    for byte in record {
        // Written either way, which lets the compiler take sixteen at a time.
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
