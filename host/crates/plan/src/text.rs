use encoding_rs::Encoding;

use super::FieldPath;

/// How records lie in the bytes of a file or of standard input.
#[derive(Debug, Clone, Default)]
pub struct TextSpec {
    /// Where a record begins and ends.
    pub format: Format,
    /// How the bytes are packed.
    pub compression: Compression,
    /// What the characters are.
    pub encoding: TextEncoding,
    /// What ends a line.
    pub line_end: LineEnd,
    /// How rows are cut; for [`Format::Csv`].
    pub csv: CsvSpec,
    /// What of a record is its key, its time and its headers; not for [`Format::Lines`].
    pub stamps: StampSpec,
    /// What cannot be read is passed over: a file that cannot be opened is the run's to report, not a reason not to begin.
    pub tolerant: bool,
}

/// How records lie in text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    /// A record a line, without its line end.
    #[default]
    Lines,
    /// As lines; empty lines are skipped, and a line that cannot be JSON by its first and last character is an error of
    /// the source (what lies between is for the operator to parse and reject).
    JsonLines,
    /// A header and rows; each row becomes a JSON object of strings.
    Csv,
}

impl Format {
    /// All, with their names in a pipeline file.
    pub const NAMES: [(&'static str, Self); 3] =
        [("lines", Self::Lines), ("jsonl", Self::JsonLines), ("csv", Self::Csv)];
}

/// How a file is packed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Compression {
    /// A source: by the first bytes. A sink: by its name, `.gz` is gzip, `.zst` zstd, everything else plain.
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
    /// What a pipeline file can say; as it is found is what it means when it says nothing.
    pub const NAMES: [(&'static str, Self); 3] = [("none", Self::None), ("gzip", Self::Gzip), ("zstd", Self::Zstd)];
}

/// What the characters of a text are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TextEncoding {
    /// UTF-16 where the text begins with its byte order mark, otherwise the bytes as they are; `jsonl` and `csv` want UTF-8.
    #[default]
    Found,
    /// ISO 8859-1, all 256 bytes: byte n is character n.
    Latin1,
    /// UTF-16 as its byte order mark says; little endian without one.
    Utf16,
    /// An encoding of the WHATWG standard.
    Named(&'static Encoding),
}

/// What ends a line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LineEnd {
    /// LF and CRLF; CR where a text has no LF.
    #[default]
    Auto,
    /// LF, CRLF and CR, each.
    Any,
}

impl LineEnd {
    /// All, with their names in a pipeline file.
    pub const NAMES: [(&'static str, Self); 2] = [("auto", Self::Auto), ("any", Self::Any)];
}

/// How the rows of a CSV file are cut, and what their columns are called.
#[derive(Debug, Clone)]
pub struct CsvSpec {
    /// Between fields.
    pub delimiter: u8,
    /// Around fields; `None`: nothing is quoted.
    pub quote: Option<u8>,
    /// Where the names of the columns come from.
    pub header: HeaderSpec,
    /// Which columns a record has, in this order; `None` is all.
    pub columns: Option<Vec<String>>,
    /// What becomes of columns without a name.
    pub unnamed: Unnamed,
    /// What becomes of a name that an earlier column has.
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

/// Where the names of a CSV file's columns come from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum HeaderSpec {
    /// The first row.
    #[default]
    FirstRow,
    /// Nowhere: they are numbered, `column_1`, `column_2`, …
    Numbered,
    /// These; the first row is a record.
    Names(Vec<String>),
}

/// What becomes of columns without a name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Unnamed {
    /// They are called `column_N`.
    #[default]
    Number,
    /// They are left out.
    LeaveOut,
    /// The file cannot be read.
    Fail,
}

impl Unnamed {
    /// All, with their names in a pipeline file.
    pub const NAMES: [(&'static str, Self); 3] =
        [("number", Self::Number), ("leave-out", Self::LeaveOut), ("fail", Self::Fail)];
}

/// What becomes of a column's name that an earlier one has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Duplicates {
    /// The file cannot be read.
    #[default]
    Fail,
    /// The second `name` is called `name_2`.
    Number,
}

impl Duplicates {
    /// All, with their names in a pipeline file.
    pub const NAMES: [(&'static str, Self); 2] = [("fail", Self::Fail), ("number", Self::Number)];
}

/// What of a record is its key, its time and its headers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StampSpec {
    /// The field that is the key.
    pub key: Option<FieldPath>,
    /// The field that is the event time, and how it is written.
    pub event_time: Option<(FieldPath, TimeFormat)>,
    /// Headers, and the field of each.
    pub headers: Vec<(String, FieldPath)>,
}

impl StampSpec {
    /// The fields of the key, of the time and of the headers, in this order, as far as they are there.
    pub fn paths(&self) -> impl Iterator<Item = &FieldPath> {
        let time = self.event_time.iter().map(|(path, _)| path);
        self.key.iter().chain(time).chain(self.headers.iter().map(|(_, path)| path))
    }

    /// Whether a record is nothing but its payload.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.key.is_none() && self.event_time.is_none() && self.headers.is_empty()
    }
}

/// How a moment is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TimeFormat {
    /// RFC 3339: `2026-11-30T10:00:00.5Z`, `2026-11-30 10:00:00+01:00`.
    #[default]
    Rfc3339,
    /// A number since 1970-01-01T00:00:00Z, in a unit of which a second has so many. It may have a fraction.
    Unix {
        /// Units in a second: a power of ten, 1 to 10^9.
        a_second: u32,
    },
}

impl TimeFormat {
    /// All, with their names in a pipeline file.
    pub const NAMES: [(&'static str, Self); 5] = [
        ("rfc3339", Self::Rfc3339),
        ("unix", Self::Unix { a_second: 1 }),
        ("unix_ms", Self::Unix { a_second: 1_000 }),
        ("unix_us", Self::Unix { a_second: 1_000_000 }),
        ("unix_ns", Self::Unix { a_second: 1_000_000_000 }),
    ];
}
