//! `uppercase`: converts text to capitals. Shows a map over text: a record that is not UTF-8 is rejected before
//! the function is called.

/// Converts the line to capitals, by the rules of Unicode.
#[sage_guest::map]
pub fn uppercase(line: &str) -> String {
    line.to_uppercase()
}

#[cfg(test)]
mod tests {
    use sage_guest::testing;
    use serde_json::json;

    use super::uppercase;

    #[test]
    fn capitals_may_be_longer() {
        assert_eq!(uppercase("straße 1"), "STRASSE 1");
    }

    #[test]
    fn bytes_that_are_no_text_are_rejected() {
        let mut lane = testing::Map::<uppercase>::open(json!({})).unwrap();
        let outcome = lane.run([&b"ok"[..], b"not \xff text"]);
        assert_eq!(outcome.texts(), ["OK"]);
        assert_eq!(
            outcome.messages(),
            [r#"payload is not UTF-8: byte 0xff at 4, in "not \u{fffd} text""#.replace("\\u{fffd}", "\u{fffd}")]
        );
    }
}
