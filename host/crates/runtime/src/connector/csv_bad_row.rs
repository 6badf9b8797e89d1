/// An error in a row, with the line on which the row begins.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadRow {
    pub(super) line: u64,
    pub(super) what: String,
    pub(super) hint: Option<String>,
    pub(super) spoils: Spoils,
}

/// The part of a file that a bad row makes unreadable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spoils {
    /// The row.
    Row,
    /// The first line of the row. The other lines may be rows of their own.
    FirstLine,
    /// The rest of the file.
    File,
}

impl BadRow {
    pub(super) fn new(line: u64, what: impl Into<String>) -> Self {
        Self { line, what: what.into(), hint: None, spoils: Spoils::Row }
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    pub(super) fn spoils(self, spoils: Spoils) -> Self {
        Self { spoils, ..self }
    }
}

/// The hint for bytes that are not UTF-8.
pub(super) const OTHER_ENCODING: &str =
    "is it in another encoding? encoding = \"windows-1252\" or \"latin-1\", for example";
