//! Writing records to columns.

use super::{DataType, Field, FieldType, Inputs};

/// A record that is written to columns. `#[derive(Record)]` implements this trait.
#[diagnostic::on_unimplemented(
    message = "an operator that takes a record cannot give `{Self}`",
    label = "not a record",
    note = "write `#[derive(sage_guest::Record)]` on a struct with the output's fields",
    note = "to give bytes or text instead, take the record as a payload too, such as `Json<T>`"
)]
pub trait IntoFields {
    /// The fields that are written.
    const FIELDS: &'static [FieldType];
    /// Whether an output also has the other fields of its input.
    const EXTENDS: bool;
    /// The columns.
    type Out: RecordOut;

    /// Writes the record to a row of a chunk.
    fn put(self, chunk: &mut <Self::Out as RecordOut>::Chunk<'_>, row: usize);
}

/// The columns of an answer. `#[derive(Record)]` makes such a type.
pub trait RecordOut: Sized + 'static {
    /// 32 rows of the columns.
    type Chunk<'o>
    where
        Self: 'o;

    /// Makes columns for this number of rows.
    fn begin(rows: usize) -> Self;
    /// Returns 32 rows, from row `32 * at`.
    fn chunk<'o>(&'o mut self, at: usize, inputs: Inputs<'o>) -> Self::Chunk<'o>;
    /// Leaves a row of a chunk without a record, because the record is rejected.
    fn skip(chunk: &mut Self::Chunk<'_>, row: usize);
    /// Makes room for this number of rows.
    fn grow(&mut self, rows: usize);
    /// Takes back all rows from this one.
    fn truncate(&mut self, rows: usize);
    /// Number of bytes of text so far.
    fn bytes(&self) -> usize;
    /// Returns the columns with this number of rows, and adds the columns inside of them to `children`.
    fn finish(self, rows: usize, children: &mut Vec<Field>) -> Vec<Field>;
}

/// A value that is written to the column of a field.
#[diagnostic::on_unimplemented(
    message = "a field of a record cannot be written from `{Self}`",
    label = "not the type of a field"
)]
pub trait IntoField {
    /// The type of the field.
    const DATA_TYPE: DataType;
    /// Whether a row may have no value.
    const NULLABLE: bool = false;
    /// The column.
    type Out: FieldOut;

    /// Writes the value to a row of a chunk.
    fn put(self, chunk: &mut <Self::Out as FieldOut>::Chunk<'_>, row: usize);
}

/// The column of a field of an answer. Rows are written in order.
pub trait FieldOut: Sized + 'static {
    /// 32 rows of the column.
    type Chunk<'o>
    where
        Self: 'o;

    /// Makes a column for this number of rows.
    fn begin(field: &'static FieldType, rows: usize) -> Self;
    /// Returns 32 rows, from row `32 * at`.
    fn chunk<'o>(&'o mut self, at: usize, inputs: Inputs<'o>) -> Self::Chunk<'o>;
    /// Leaves a row of a chunk without a value.
    fn skip(chunk: &mut Self::Chunk<'_>, row: usize);
    /// Makes room for this number of rows.
    fn grow(&mut self, rows: usize);
    /// Takes back all rows from this one.
    fn truncate(&mut self, rows: usize);
    /// Number of bytes of text so far.
    fn bytes(&self) -> usize {
        0
    }
    /// Returns the column with this number of rows, and adds the columns inside of it to `children`.
    fn finish(self, rows: usize, children: &mut Vec<Field>) -> Field;
}

/// The number of rows with which a column is made, in whole chunks.
pub(crate) fn whole_chunks(rows: usize) -> usize {
    rows.next_multiple_of(super::CHUNK)
}
