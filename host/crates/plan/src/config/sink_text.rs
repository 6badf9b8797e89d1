use super::table::Table;
use super::{ChosenFields, Diagnostics, Spanned};

/// The text that a sink writes, as it was written in the pipeline file.
#[derive(Debug, Clone, Default)]
pub struct SinkText {
    /// `lines`, `jsonl` or `csv`. `None` means `jsonl` if there are fields, otherwise `lines`.
    pub format: Option<Spanned<String>>,
    /// The fields that are written, in this order. `None` means all.
    pub fields: Option<ChosenFields>,
    /// csv: the character between cells. `None` means a comma.
    pub delimiter: Option<Spanned<String>>,
    /// csv: the character around cells that need it. `None` means `"`.
    pub quote: Option<Spanned<String>>,
    /// csv: whether the first row has the names. `None` means that it has.
    pub header: Option<Spanned<bool>>,
}

impl SinkText {
    /// Reads the keys from the table of a file or of standard output.
    pub(super) fn read(table: &mut Table<'_, '_>, errors: &mut Diagnostics) -> Self {
        Self {
            format: table.string("format", errors),
            fields: ChosenFields::read(table, "name the fields to write, or leave it out to write all", errors),
            delimiter: table.string("delimiter", errors),
            quote: table.string("quote", errors),
            header: table.flag("header", errors),
        }
    }
}
