//! Writing records to columns.

use super::nullable::Absent;
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
    /// Writes the record to a row of a turn.
    fn keep<'o>(self, turn: &mut <Self::Out as RecordOut>::Turn<'o>, row: usize)
    where
        Self: 'o;
}

/// The columns of an answer. `#[derive(Record)]` makes such a type.
pub trait RecordOut: Sized + 'static {
    /// 32 rows of the columns. A row is in its column as soon as it is written.
    type Chunk<'o>
    where
        Self: 'o;
    /// 32 rows of the columns at a time that are written together: in arrays first, which no other memory overlaps, so
    /// that the compiler can use SIMD.
    type Turn<'o>
    where
        Self: 'o;

    /// Makes columns for this number of rows.
    fn begin(rows: usize) -> Self;
    /// Returns 32 rows, from row `32 * at`.
    fn chunk<'o>(&'o mut self, at: usize, inputs: Inputs<'o>) -> Self::Chunk<'o>;
    /// Leaves a row of a chunk without a record, because the record is rejected.
    fn skip(chunk: &mut Self::Chunk<'_>, row: usize);
    /// Makes room for rows that are written together. The room is made once for a call: clearing it costs a call out of
    /// the module.
    fn turn<'o>(&'o mut self, inputs: Inputs<'o>) -> Self::Turn<'o>;
    /// Begins 32 rows, from row `32 * at`.
    fn next_turn(turn: &mut Self::Turn<'_>, at: usize);
    /// Leaves a row of a turn without a record, because the record is rejected.
    fn skip_in_turn(turn: &mut Self::Turn<'_>, row: usize);
    /// Ends the rows of a turn: all of them are written or skipped.
    fn end(turn: &mut Self::Turn<'_>);
    /// Makes room for this number of rows.
    fn grow(&mut self, rows: usize);
    /// Takes back all rows from this one.
    fn truncate(&mut self, rows: usize);
    /// Number of bytes of text so far.
    fn bytes(&self) -> usize;
    /// Returns the columns with this number of rows, and adds the columns inside of them to `children`. `inputs` are
    /// those of the chunks.
    fn finish(self, rows: usize, inputs: Inputs<'_>, children: &mut Vec<Field>) -> Vec<Field>;
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
    /// Writes the value to a row of a turn.
    fn keep<'o>(self, turn: &mut <Self::Out as FieldOut>::Turn<'o>, row: usize)
    where
        Self: 'o;
    /// Writes a value, or none, to a row of a turn. A type that can do so without a branch does.
    #[inline(always)]
    fn keep_option<'o>(value: Option<Self>, turn: &mut <Self::Out as FieldOut>::Turn<'o>, row: usize)
    where
        Self: Sized + 'o,
        Self::Out: Absent,
    {
        match value {
            Some(value) => value.keep(turn, row),
            None => Self::Out::absent_in_turn(turn, row),
        }
    }
}

/// The column of a field of an answer. Rows are written in order.
pub trait FieldOut: Sized + 'static {
    /// 32 rows of the column. A row is in the column as soon as it is written.
    type Chunk<'o>
    where
        Self: 'o;
    /// 32 rows of the column at a time that are written together.
    type Turn<'o>
    where
        Self: 'o;

    /// Makes a column for this number of rows.
    fn begin(field: &'static FieldType, rows: usize) -> Self;
    /// Returns 32 rows, from row `32 * at`.
    fn chunk<'o>(&'o mut self, at: usize, inputs: Inputs<'o>) -> Self::Chunk<'o>;
    /// Leaves a row of a chunk without a value.
    fn skip(chunk: &mut Self::Chunk<'_>, row: usize);
    /// Makes room for rows that are written together. The room is made once for a call: clearing it costs a call out of
    /// the module.
    fn turn<'o>(&'o mut self, inputs: Inputs<'o>) -> Self::Turn<'o>;
    /// Begins 32 rows, from row `32 * at`.
    fn next_turn(turn: &mut Self::Turn<'_>, at: usize);
    /// Leaves a row of a turn without a value.
    fn skip_in_turn(turn: &mut Self::Turn<'_>, row: usize);
    /// Ends the rows of a turn: all of them are written or skipped.
    fn end(turn: &mut Self::Turn<'_>);
    /// Makes room for this number of rows.
    fn grow(&mut self, rows: usize);
    /// Takes back all rows from this one.
    fn truncate(&mut self, rows: usize);
    /// Number of bytes of text so far.
    fn bytes(&self) -> usize {
        0
    }
    /// Returns the column with this number of rows, and adds the columns inside of it to `children`. `inputs` are those
    /// of the chunks.
    fn finish(self, rows: usize, inputs: Inputs<'_>, children: &mut Vec<Field>) -> Field;
}

/// The number of rows with which a column is made, in whole chunks.
pub(crate) fn whole_chunks(rows: usize) -> usize {
    rows.next_multiple_of(super::CHUNK)
}
