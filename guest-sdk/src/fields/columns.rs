//! The columns of an input table.

use super::{Field, FieldType, FromFields, Table, Values};

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
        Self { columns: R::columns(RecordColumns { table, numbers: None, rows }), rows }
    }

    pub(crate) fn into_inner(self) -> R::Columns {
        self.columns
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

/// A column of a table, to be read.
#[derive(Debug, Clone, Copy)]
pub struct ColumnOf<'a> {
    table: &'a Table,
    field: &'a Field,
    rows: usize,
}

impl<'a> ColumnOf<'a> {
    /// The column.
    pub(crate) fn field(&self) -> &'a Field {
        self.field
    }

    /// Number of values.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// The column inside of this one with this number and so many values.
    pub(crate) fn child(&self, number: u32, rows: usize) -> Self {
        match self.table.children.get(number as usize) {
            Some(field) => Self { table: self.table, field, rows },
            None => misread("a table", "a column inside of a list or a struct"),
        }
    }

    /// The columns of the members of a struct.
    ///
    /// # Panics
    /// The column is none of structs with so many members: the host broke the contract.
    #[must_use]
    pub fn members(&self, count: usize) -> RecordColumns<'a> {
        match &self.field.values {
            Values::Structs(numbers) if numbers.len() == count => {
                RecordColumns { table: self.table, numbers: Some(numbers), rows: self.rows }
            }
            _ => misread("a column", "the members of its struct"),
        }
    }
}

/// The columns of a record: those of a table, or those of the members of a struct.
#[derive(Debug, Clone, Copy)]
pub struct RecordColumns<'a> {
    table: &'a Table,
    numbers: Option<&'a [u32]>,
    rows: usize,
}

impl<'a> RecordColumns<'a> {
    /// Returns the column of a field.
    ///
    /// # Panics
    /// There is none: the host broke the contract.
    #[must_use]
    pub fn column(&self, at: usize) -> ColumnOf<'a> {
        let field = match self.numbers {
            None => self.table.fields.get(at),
            Some(numbers) => numbers.get(at).and_then(|&number| self.table.children.get(number as usize)),
        };
        match field {
            Some(field) => ColumnOf { table: self.table, field, rows: self.rows },
            None => misread("a table", "the fields of the record"),
        }
    }
}

/// The input of a call, in which an answer looks for the columns that it repeats.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// The fields' types.
    pub(crate) types: &'static [FieldType],
    /// The columns of the fields.
    pub(crate) fields: &'a [Field],
    /// The rejected rows in rising order, when the answer is finished.
    pub(crate) rejected: &'a [u32],
}

impl Inputs<'_> {
    /// No input: nothing can be repeated.
    pub(crate) const NONE: Self = Self { types: &[], fields: &[], rejected: &[] };
}

/// Panics because a table is not as the description says. The host has checked the description, and the operator
/// cannot continue.
#[cold]
#[expect(clippy::panic, reason = "a breach of the contract by the host; the trap is the answer")]
pub(crate) fn misread(found: &str, wanted: &str) -> ! {
    panic!("{found} does not have {wanted}")
}
