//! The columns of an input table.

use super::{Field, FieldType, FromFields, Table};

/// The columns of a record's fields: slices that all have one entry for each row.
#[derive(Debug)]
pub struct Columns<'a, R: FromFields<'a>> {
    columns: R::Columns,
    rows: usize,
}

impl<'a, R: FromFields<'a>> Columns<'a, R> {
    /// Takes the columns of a table.
    ///
    /// # Panics
    /// The table is not one of this record: the host broke the contract.
    #[must_use]
    pub fn of(table: &'a Table) -> Self {
        let rows = table.rows();
        if table.fields.len() != R::FIELDS.len() {
            misread("a table", "the fields of the record");
        }
        Self { columns: R::columns(table), rows }
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Returns the record of a row. A row past the end has empty values.
    #[inline(always)]
    #[must_use]
    pub fn get(&self, row: usize) -> R {
        R::get(&self.columns, row)
    }

    /// Returns 32 rows, from row `32 * at`.
    #[inline(always)]
    pub(crate) fn chunk(&self, at: usize) -> R::Chunk {
        R::chunk(&self.columns, at)
    }
}

/// The input of a call, in which an answer looks for the columns that it repeats.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// The fields' types.
    pub(crate) types: &'static [FieldType],
    /// The columns of the fields.
    pub(crate) fields: &'a [Field],
}

impl Inputs<'_> {
    /// No input: nothing can be repeated.
    pub(crate) const NONE: Self = Self { types: &[], fields: &[] };
}

/// Panics because a table is not as the description says. The host has checked the description, and the operator
/// cannot continue.
#[cold]
#[expect(clippy::panic, reason = "a breach of the contract by the host; the trap is the answer")]
pub(crate) fn misread(found: &str, wanted: &str) -> ! {
    panic!("{found} does not have {wanted}")
}
