use std::sync::Arc;

use encoding_rs::Encoding;

use super::{EventTimeSpec, FieldPath, SourceSchema};

/// Format of the records in a file or in standard input.
#[derive(Debug, Clone, Default)]
pub struct TextSpec {
    /// Format, which decides where a record begins and ends.
    pub format: Format,
    /// Compression of the bytes.
    pub compression: Compression,
    /// Encoding of the characters.
    pub encoding: TextEncoding,
    /// Line ends.
    pub line_end: LineEnd,
    /// How rows are split; for [`Format::Csv`].
    pub csv: CsvSpec,
    /// Fields that give a record its key, time and headers; not for [`Format::Lines`].
    pub stamps: StampSpec,
    /// Fields of a record and their types; not for [`Format::Lines`]. `None` lets the operators decide.
    pub schema: Option<Arc<SourceSchema>>,
    /// Fields that the source reads from its rows; for [`Format::Csv`]. The plan says which fields are read, and the
    /// engine sets them. `None` if no stage reads fields.
    pub reads: Option<Arc<SourceSchema>>,
    /// Whether unreadable input is skipped. A file that cannot be opened is then reported by the run; it does
    /// not prevent the start.
    pub tolerant: bool,
}

/// Format of records in text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    /// Each line is a record, without its line end.
    #[default]
    Lines,
    /// As lines, but empty lines are skipped. A line that cannot be JSON by its first and last character is an
    /// error of the source; the operator parses, and may reject, the text between them.
    JsonLines,
    /// A header and rows; each row becomes a JSON object of strings.
    Csv,
}

impl Format {
    /// All, with their names in a pipeline file.
    pub const NAMES: [(&'static str, Self); 3] =
        [("lines", Self::Lines), ("jsonl", Self::JsonLines), ("csv", Self::Csv)];
}

/// Compression of a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Compression {
    /// A source detects it from the first bytes. A sink chooses by the file name: `.gz` is gzip, `.zst` is
    /// zstd, any other name is plain.
    #[default]
    Found,
    /// Plain.
    None,
    /// gzip.
    Gzip,
    /// zstd.
    Zstd,
}

impl Compression {
    /// The values that a pipeline file can set. [`Compression::Found`] is the default.
    pub const NAMES: [(&'static str, Self); 3] = [("none", Self::None), ("gzip", Self::Gzip), ("zstd", Self::Zstd)];
}

/// Encoding of a text's characters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TextEncoding {
    /// UTF-16 if the text begins with its byte order mark, otherwise the bytes unchanged; `jsonl` and `csv`
    /// need UTF-8.
    #[default]
    Found,
    /// ISO 8859-1, all 256 bytes: byte n is character n.
    Latin1,
    /// UTF-16 with the byte order of its mark; little endian without a mark.
    Utf16,
    /// An encoding of the WHATWG standard.
    Named(&'static Encoding),
}

/// The sequences that end a line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LineEnd {
    /// LF and CRLF; CR in a text without LF.
    #[default]
    Auto,
    /// LF, CRLF and CR.
    Any,
}

impl LineEnd {
    /// All values, with their names in a pipeline file.
    pub const NAMES: [(&'static str, Self); 2] = [("auto", Self::Auto), ("any", Self::Any)];
}

/// How the rows of a CSV file are split, and the names of its columns.
#[derive(Debug, Clone)]
pub struct CsvSpec {
    /// Character between fields.
    pub delimiter: u8,
    /// Character around fields. `None` means no quoting.
    pub quote: Option<u8>,
    /// Source of the column names.
    pub header: HeaderSpec,
    /// Columns of a record, in this order. `None` means all.
    pub columns: Option<Vec<String>>,
    /// Treatment of columns without a name.
    pub unnamed: Unnamed,
    /// Treatment of a name that an earlier column has.
    pub duplicates: Duplicates,
}

impl Default for CsvSpec {
    fn default() -> Self {
        Self {
            delimiter: b',',
            quote: Some(b'"'),
            header: HeaderSpec::default(),
            columns: None,
            unnamed: Unnamed::default(),
            duplicates: Duplicates::default(),
        }
    }
}

/// Source of a CSV file's column names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum HeaderSpec {
    /// The first row.
    #[default]
    FirstRow,
    /// None: the columns are numbered, `column_1`, `column_2`, …
    Numbered,
    /// This list; the first row is a record.
    Names(Vec<String>),
}

/// Treatment of columns without a name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Unnamed {
    /// The column is called `column_N`.
    #[default]
    Number,
    /// The column is left out.
    LeaveOut,
    /// The file cannot be read.
    Fail,
}

impl Unnamed {
    /// All, with their names in a pipeline file.
    pub const NAMES: [(&'static str, Self); 3] =
        [("number", Self::Number), ("leave-out", Self::LeaveOut), ("fail", Self::Fail)];
}

/// Treatment of a column name that an earlier column has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Duplicates {
    /// The file cannot be read.
    #[default]
    Fail,
    /// The second `name` becomes `name_2`.
    Number,
}

impl Duplicates {
    /// All, with their names in a pipeline file.
    pub const NAMES: [(&'static str, Self); 2] = [("fail", Self::Fail), ("number", Self::Number)];
}

/// Fields that give a record its key, time and headers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StampSpec {
    /// Field of the key.
    pub key: Option<FieldPath>,
    /// Field of the event time, and how it is written.
    pub event_time: Option<EventTimeSpec>,
    /// Headers by name, with the field of each.
    pub headers: Vec<(String, FieldPath)>,
}

impl StampSpec {
    /// The fields of the key, of the time and of the headers, in this order, without those that are not set.
    pub fn paths(&self) -> impl Iterator<Item = &FieldPath> {
        let time = self.event_time.iter().map(|time| &time.field);
        self.key.iter().chain(time).chain(self.headers.iter().map(|(_, path)| path))
    }

    /// Whether a record has only its payload: no key, no time and no headers are set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.key.is_none() && self.event_time.is_none() && self.headers.is_empty()
    }
}
