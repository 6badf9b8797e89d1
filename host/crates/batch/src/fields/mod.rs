//! Records by field: the types of fields, and columns with their values.
//!
//! A [`Table`] holds the fields of a batch of records, one [`FieldColumn`] for each field of its [`Schema`]. A
//! parser pushes values row by row; the engine appends ranges of rows; a guest's answer becomes a table only by
//! [`Table::assign`], which checks it.
//!
//! Invariants:
//!
//! - Every column of a table has as many rows as the table (save while a row is built).
//! - Texts are UTF-8, row by row; the bits of a bitmap past its end are zero.
//! - A column has nulls only where its type is nullable.
//! - Lists and structs are one level deep: their elements and members are neither. So the columns inside them have none
//!   inside, and nothing recurses further.

mod assemble;
mod assign;
mod bits;
mod cell;
mod check;
mod data_type;
mod field_column;
mod inside;
mod key_type;
mod malformed;
#[cfg(test)]
mod malformed_tests;
mod offsets;
mod raw;
mod storage;
mod table;
#[cfg(test)]
mod table_tests;
mod type_name;
mod values;
mod widen;
mod wire;

pub use assemble::Part;
pub use bits::Bits;
pub use cell::Cell;
pub use data_type::{DataType, Element, FieldType, Members, NoMembers, Schema};
pub use field_column::FieldColumn;
pub use malformed::{MalformedTable, Problem};
pub use offsets::{Offsets, Rows};
pub use raw::{Input, RawField, RawTable, RawValues, SameField};
pub use storage::Storage;
pub use table::Table;
pub use type_name::UnknownType;
pub use values::Values;
