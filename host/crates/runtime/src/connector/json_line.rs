/// The reason why a line is obviously not JSON.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NotJson {
    /// The line is not UTF-8.
    Utf8 {
        /// First wrong byte of the line, from 1.
        column: usize,
    },
    /// No JSON value begins or ends like this.
    Shape {
        /// Byte of the line, from 1.
        column: usize,
        /// Description of the error.
        why: String,
    },
}

/// The shape of a file: one value on each line, or one value over several lines. The first line that is not
/// blank decides.
#[derive(Debug, Default)]
pub(super) enum JsonText {
    /// The first line has not been read.
    #[default]
    New,
    /// The line is `[{…}]`, with its number while it waits: an array of all records, unless more lines follow.
    Array(Option<u64>),
    /// An array begins on the line and ends on a later one.
    OpenArray,
    /// An object begins on the line and ends on a later one.
    OpenObject,
    /// Each line is a value.
    Lines,
}

impl JsonText {
    /// Examines the first line.
    pub(super) fn first(&mut self, line: &[u8]) {
        let text = line.trim_ascii();
        let second = text.get(1..).unwrap_or_default().trim_ascii_start().first();
        *self = match (text.first(), text.last()) {
            (Some(b'['), Some(b']')) if text.len() > 1 && second == Some(&b'{') => Self::Array(None),
            (Some(b'['), Some(b']')) if text.len() > 1 => Self::Lines,
            // The text after the bracket may also be a time stamp. An array is assumed only before an object,
            // an array or the end of the line.
            (Some(b'['), _) if matches!(second, None | Some(b'{' | b'[')) => Self::OpenArray,
            // A line that was cut off would end in the middle of a value.
            (Some(b'{'), Some(b'{' | b'[' | b',')) => Self::OpenObject,
            _ => Self::Lines,
        };
    }

    /// Examines the beginning of a first line that is too long to be read as a whole. Its end is not known.
    pub(super) fn beginning(&mut self, head: &[u8]) {
        let text = head.trim_ascii_start();
        let second = text.get(1..).unwrap_or_default().trim_ascii_start().first();
        let array = text.first() == Some(&b'[') && matches!(second, Some(b'{' | b'['));
        *self = if array { Self::OpenArray } else { Self::Lines };
    }

    /// Whether the first line has not been read.
    pub(super) fn is_new(&self) -> bool {
        matches!(self, Self::New)
    }

    /// Whether the shape depends on more lines after the first.
    pub(super) fn must_be_alone(&self) -> bool {
        matches!(self, Self::Array(_))
    }

    /// Makes the first line, number `line`, wait until it is known whether more lines follow.
    pub(super) fn wait(&mut self, line: u64) {
        if let Self::Array(waiting) = self {
            *waiting = Some(line);
        }
    }

    /// The number of the waiting line.
    pub(super) fn waiting(&self) -> Option<u64> {
        match self {
            Self::Array(waiting) => *waiting,
            _ => None,
        }
    }

    /// Ends the waiting: each line is a value.
    pub(super) fn go_on(&mut self) {
        *self = Self::Lines;
    }

    /// The error and the hint for a file that does not consist of lines. `alone` means that the file has only
    /// that line.
    pub(super) fn no_lines(&self, alone: bool) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Array(_) if alone => Some((
                "the file is one JSON array, and format = \"jsonl\" has a record on each line",
                "jq -c '.[]' makes lines of it; with format = \"lines\" the array is one record",
            )),
            Self::OpenArray => Some((
                "a JSON array begins here that does not end on this line, \
                 and format = \"jsonl\" has a record on each line",
                "jq -c '.[]' makes lines of it",
            )),
            Self::OpenObject => Some((
                "a JSON object begins here that does not end on this line (it is pretty-printed), \
                 and format = \"jsonl\" has a record on each line",
                "jq -c . makes a line of each",
            )),
            _ => None,
        }
    }
}

/// Whether the line has only white space.
#[inline]
pub(super) fn is_blank(line: &[u8]) -> bool {
    line.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r'))
}

/// Refuses a line that cannot be JSON: the line is not UTF-8, or its first and last characters do not match, as
/// in a line that was cut short or in a log message among the records.
///
/// The text between them is not parsed here. Parsing takes 254 ns for a 136-byte record (serde_json, its
/// fastest way); this check takes 12 ns, and the whole way from file to file may take about 1000 ns. The
/// operator parses the record anyway, and rejects it under the pipeline's `on_error`, while a source can only
/// stop the pipeline.
#[inline]
pub(super) fn check_json_line(line: &[u8]) -> Result<(), NotJson> {
    if simdutf8::basic::from_utf8(line).is_err()
        && let Err(error) = std::str::from_utf8(line)
    {
        return Err(NotJson::Utf8 { column: error.valid_up_to() + 1 });
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
        return NotJson::Shape { column: 1, why: "the line is blank".to_owned() };
    };
    match last {
        Some(last) if matches!(first, '{' | '[' | '"') => NotJson::Shape {
            column: line.trim_ascii_end().len(),
            why: format!("the line begins with {first} and ends with {}", visible(last)),
        },
        _ => NotJson::Shape { column: start, why: format!("the line begins with {}", visible(first)) },
    }
}

/// A character in a form that cannot control a terminal.
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
        let cases: [(&[u8], usize, &str); 7] = [
            (b"hello", 1, "the line begins with h"),
            (b"  {\"a\":1", 8, "the line begins with { and ends with 1"),
            (b"{", 1, "the line begins with {"),
            (b"\"", 1, "the line begins with \""),
            (b"[1,\x1b", 4, "the line begins with [ and ends with \\u{1b}"),
            (b"12,", 1, "the line begins with 1"),
            (b"nulls", 1, "the line begins with n"),
        ];
        for (line, column, why) in cases {
            assert_eq!(check_json_line(line), Err(NotJson::Shape { column, why: why.to_owned() }), "{line:?}");
        }
        assert_eq!(check_json_line(b"{\"a\xff\"}"), Err(NotJson::Utf8 { column: 4 }));
    }
}
