//! Reading records from columns.

use super::{ColumnOf, DataType, FieldType, RecordColumns};

/// Number of rows that a loop reads and writes in one turn. The length is constant, so the compiler unrolls the turn
/// and uses SIMD; the deadline is checked once a turn. Two `f64` to one took 1.4 ns a record instead of 2.4 ns.
pub const CHUNK: usize = 32;

/// A record that is read from columns. `#[derive(Record)]` implements this trait.
#[diagnostic::on_unimplemented(
    message = "an operator cannot take `{Self}` as a record",
    label = "not a record",
    note = "write `#[derive(sage_guest::Record)]` on the struct, to read its fields",
    note = "a payload is `&[u8]`, `&str`, `String`, `Vec<u8>`, a number, a `bool`, or `Json<T>` where `T: \
        serde::Deserialize`; for a type that implements `FromPayload` itself, add the word `payload` to the \
        attribute, as in `#[sage_guest::map(payload)]`"
)]
pub trait FromFields<'a>: Sized {
    /// The fields that are read.
    const FIELDS: &'static [FieldType];
    /// The columns.
    type Columns;
    /// 32 rows of the columns.
    type Chunk;

    /// Takes the columns, one for each of `FIELDS`.
    fn columns(from: RecordColumns<'a>) -> Self::Columns;
    /// Returns 32 rows, from row `32 * at`.
    fn chunk(columns: &Self::Columns, at: usize) -> Self::Chunk;
    /// Returns whether every nullable field has a value in these rows of a chunk, given as bits.
    fn whole(chunk: &Self::Chunk, rows: u32) -> bool;
    /// Returns the record of a row of a chunk. With `WHOLE`, every field has a value.
    fn in_chunk<const WHOLE: bool>(chunk: &Self::Chunk, row: usize) -> Self;
    /// Returns the record of a row.
    fn get(columns: &Self::Columns, row: usize) -> Self;
}

/// A value that is read from the column of a field.
#[diagnostic::on_unimplemented(
    message = "a field of a record cannot be read as `{Self}`",
    label = "not the type of a field"
)]
pub trait FromField<'a>: Sized {
    /// The type of the field.
    const DATA_TYPE: DataType;
    /// Whether a row may have no value.
    const NULLABLE: bool = false;
    /// Whether a value may be read although the row has none, which is cheaper than a branch: it is neither copied nor
    /// looked at.
    const IN_PLACE: bool = false;
    /// The column.
    type Column;
    /// 32 rows of the column.
    type Chunk;

    /// Takes the column.
    fn column(from: ColumnOf<'a>) -> Self::Column;
    /// Returns 32 rows, from row `32 * at`.
    fn chunk(column: &Self::Column, at: usize) -> Self::Chunk;
    /// Returns whether these rows of a chunk, given as bits, all have a value.
    #[inline(always)]
    fn whole(_: &Self::Chunk, _: u32) -> bool {
        true
    }
    /// Returns the value of a row of a chunk. With `WHOLE`, the row has a value.
    fn in_chunk<const WHOLE: bool>(chunk: &Self::Chunk, row: usize) -> Self;
    /// Returns the value of a row.
    fn get(column: &Self::Column, row: usize) -> Self;
}
