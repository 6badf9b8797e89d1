use std::fmt;

use sage_batch::fields::DataType;

/// The reason why a record cannot be read or printed, with the field and the place. The message is one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// Name of the field; `None` if the record as a whole is at fault. An element of a list is `tags[3]`, and a member
    /// of a struct is `place.lat`.
    pub field: Option<String>,
    /// The broken rule.
    pub reason: Reason,
    /// Place in the record.
    pub place: Option<Place>,
}

/// Place in the text of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Line, from 1.
    pub line: usize,
    /// Column in bytes, from 1.
    pub column: usize,
}

/// The rule that a record breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// A field that is not nullable is not in the record.
    #[error("is missing")]
    Missing,
    /// A field that is not nullable is null.
    #[error("is null")]
    Null,
    /// A cell of CSV is empty, and its field is neither nullable nor a string.
    #[error("is empty, which is no {}", plain(.0))]
    Empty(DataType),
    /// A field stands in the record more than once.
    #[error("stands twice in the record")]
    Twice,
    /// A value has another type.
    #[error("is {found}, not {}", plain(expected))]
    Kind {
        /// The value, in words.
        found: &'static str,
        /// Type of the field.
        expected: DataType,
    },
    /// A text does not have the form of the type.
    #[error("is {found:?}, which is no {expected}: {form}")]
    Form {
        /// The text, or its beginning.
        found: String,
        /// Type of the field.
        expected: DataType,
        /// The form that the type has.
        form: &'static str,
    },
    /// A number is too large for the type.
    #[error("is {found}, which is out of the range of {expected}")]
    Range {
        /// The number, or its beginning.
        found: String,
        /// Type of the field.
        expected: DataType,
    },
    /// A nested value is too deep.
    #[error("is nested deeper than {limit} levels")]
    Depth {
        /// Most levels, the record's own included.
        limit: usize,
    },
    /// A number that JSON does not have.
    #[error("is {0}, which JSON cannot express")]
    NotFinite(&'static str),
    /// A time that RFC 3339 cannot express.
    #[error("is a {0} outside the years 0000 to 9999")]
    Year(DataType),
    /// The value is not UTF-8.
    #[error("is not UTF-8")]
    NotUtf8,
    /// The value is not JSON.
    #[error("is not JSON")]
    NotJson,
    /// The escapes of a string do not stand for a text.
    #[error("is no text: {0}")]
    Escape(String),
    /// The record breaks the grammar of its format.
    #[error("{0}")]
    Syntax(String),
    /// The table has no such row, or a schema other than the reader's.
    #[error("the table does not have the fields or the row")]
    Table,
}

/// The rule that a single text breaks. Small, because it travels through the quick path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bad {
    Form,
    Range,
}

/// Longest part of a value in a message.
const SHOWN: usize = 40;

impl Bad {
    /// The reason in full, for a value whose text is `found`.
    #[cold]
    pub(crate) fn reason(self, found: &[u8], expected: &DataType) -> Reason {
        let mut shown: String = String::from_utf8_lossy(found).chars().take(SHOWN).collect();
        if shown.len() < found.len() {
            shown.push('…');
        }
        let form = form_of(expected);
        let expected = expected.clone();
        match self {
            Self::Range => Reason::Range { found: shown, expected },
            Self::Form => Reason::Form { found: shown, expected, form },
        }
    }
}

/// The type in a message. A struct may have many members, so they are left out.
fn plain(data_type: &DataType) -> String {
    if let DataType::Struct(_) = data_type { "struct".to_owned() } else { data_type.to_string() }
}

/// The form of the values of a type, in words.
fn form_of(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::Bool => "true or false",
        DataType::F32 | DataType::F64 => "a number as in JSON",
        DataType::Timestamp => "RFC 3339 with a zone, as 2026-01-31T23:59:59.5Z",
        DataType::Date => "a day of the calendar, as 2026-01-31",
        DataType::Decimal { .. } => "it must be exact with the digits of the type",
        DataType::Bytes => "base64 with padding",
        DataType::String => "UTF-8",
        DataType::Json => "a JSON value",
        DataType::List(_) => "an array",
        DataType::Struct(_) => "an object",
        _ => "an integer, without point or exponent",
    }
}

impl FieldError {
    /// The error of a field, at byte `at` of `text`.
    #[cold]
    pub(crate) fn of(field: &str, reason: Reason, text: &[u8], at: usize) -> Self {
        Self { field: Some(field.to_owned()), reason, place: Some(Place::at(text, at)) }
    }

    /// The error of a field that has no place in a text.
    #[cold]
    pub(crate) fn without_place(field: &str, reason: Reason) -> Self {
        Self { field: Some(field.to_owned()), reason, place: None }
    }
}

impl Place {
    /// Place of byte `at`.
    pub(crate) fn at(text: &[u8], at: usize) -> Self {
        let before = text.get(..at).unwrap_or(text);
        let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
        let column = before.iter().rev().take_while(|&&byte| byte != b'\n').count() + 1;
        Self { line, column }
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(field) = &self.field {
            write!(out, "field {field:?} ")?;
        }
        write!(out, "{}", self.reason)?;
        match self.place {
            Some(Place { line, column }) => write!(out, " (line {line}, column {column})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for FieldError {}
