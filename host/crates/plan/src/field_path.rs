use std::fmt;

use thiserror::Error;

/// The place of a value in a record: the name of a field (`carrier`), or a JSON pointer (`/user/id`, RFC 6901).
///
/// A text that begins with `/` is a pointer. Its parts are separated by `/`; in a part, `~1` means `/` and `~0`
/// means `~`. A part that is a number is also an index into a list, from 0. Any other text is a name, dots
/// included.
///
/// ```
/// use sage_plan::FieldPath;
///
/// assert_eq!(FieldPath::parse("user.id")?.parts(), ["user.id"]);
/// assert_eq!(FieldPath::parse("/user/0/a~1b")?.parts(), ["user", "0", "a/b"]);
/// assert!(FieldPath::parse("").is_err() && FieldPath::parse("/a~2").is_err());
/// # Ok::<(), sage_plan::FieldPathError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FieldPath {
    written: String,
    parts: Vec<String>,
}

/// The error for a text that is no field path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FieldPathError {
    /// The text is empty.
    #[error("it is empty")]
    Empty,
    /// A `~` is followed by neither `0` nor `1`.
    #[error("~ stands for nothing by itself")]
    Tilde,
    /// The path has more parts than [`FieldPath::MOST_PARTS`].
    #[error("it has more than {} parts", FieldPath::MOST_PARTS)]
    TooDeep,
}

impl FieldPath {
    /// Largest number of parts. The JSON parser refuses deeper nesting.
    pub const MOST_PARTS: usize = 100;

    /// Parses a name or a pointer.
    ///
    /// # Errors
    /// [`FieldPathError`] with the reason.
    pub fn parse(text: &str) -> Result<Self, FieldPathError> {
        let parts = match text.strip_prefix('/') {
            None if text.is_empty() => return Err(FieldPathError::Empty),
            None => vec![text.to_owned()],
            Some(pointer) => pointer.split('/').map(unescape).collect::<Result<_, _>>()?,
        };
        if parts.len() > Self::MOST_PARTS {
            return Err(FieldPathError::TooDeep);
        }
        Ok(Self { written: text.to_owned(), parts })
    }

    /// The names from the outermost to the innermost; at least one.
    #[must_use]
    pub fn parts(&self) -> &[String] {
        &self.parts
    }

    /// The only name, if there is exactly one: the column of a table.
    #[must_use]
    pub fn only_part(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }
}

/// The path as it was written.
impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

fn unescape(part: &str) -> Result<String, FieldPathError> {
    let mut pieces = part.split('~');
    let mut name = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (character, rest) = match piece.as_bytes().first() {
            Some(b'0') => ('~', piece.get(1..)),
            Some(b'1') => ('/', piece.get(1..)),
            _ => return Err(FieldPathError::Tilde),
        };
        name.push(character);
        name.push_str(rest.unwrap_or_default());
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_name_or_a_pointer_as_rfc_6901_has_it() {
        let cases: [(&str, Result<&[&str], FieldPathError>); 11] = [
            ("a", Ok(&["a"])),
            ("a.b", Ok(&["a.b"])),
            ("a/b", Ok(&["a/b"])),
            ("/a", Ok(&["a"])),
            ("/", Ok(&[""])),
            ("/a/", Ok(&["a", ""])),
            ("/a~1b/m~0n", Ok(&["a/b", "m~n"])),
            ("/~01", Ok(&["~1"])),
            ("~", Ok(&["~"])),
            ("/~", Err(FieldPathError::Tilde)),
            ("", Err(FieldPathError::Empty)),
        ];
        for (text, expected) in cases {
            let found = FieldPath::parse(text).map(|path| path.parts().to_vec());
            assert_eq!(found, expected.map(|parts| parts.iter().map(|&part| part.to_owned()).collect()), "{text:?}");
        }
        assert_eq!(FieldPath::parse(&"/a".repeat(101)), Err(FieldPathError::TooDeep));
    }
}
