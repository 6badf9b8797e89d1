//! The types that cross the boundary, as in `wit/fields.wit`.

use crate::attributes::{Attributes, attributes};
use crate::types::Column;

/// Records as columns, in the order of the operator's description. Only this crate makes tables, from the host's calls
/// and for tests, so the text of a field of type `string` or `json` is UTF-8.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Table {
    /// Number of records.
    pub(crate) rows: u32,
    /// One column for each field.
    pub(crate) fields: Vec<Field>,
    /// The columns inside of lists and structs.
    pub(crate) children: Vec<Field>,
}

impl Table {
    /// Number of records.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows as usize
    }
}

/// Records by field with their keys, event times and headers, as in `wit/fields.wit`. Every column that is present has
/// one entry for each row of the table.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FieldBatch {
    /// The fields.
    pub(crate) table: Table,
    /// The key of each record. Absent: the records have no keys.
    pub(crate) keys: Option<Column>,
    /// Event time in microseconds since the Unix epoch. Absent: the records have no timestamps.
    pub(crate) timestamps: Option<Vec<i64>>,
    /// Headers, in the encoding of `wit/types.wit`. Absent: no record has headers.
    pub(crate) headers: Option<Column>,
}

impl FieldBatch {
    /// Key, event time and headers of record `row`.
    #[inline(always)]
    pub(crate) fn attributes(&self, row: usize) -> Attributes<'_> {
        attributes(&self.keys, &self.timestamps, &self.headers, row)
    }
}

/// The column of a field.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// The values.
    pub(crate) values: Values,
    /// A bitmap of the rows that have a value. Absent: every row has one.
    pub(crate) validity: Option<Vec<u8>>,
}

/// The values of a field, one for each row.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// The column of this field of the input.
    Same(u32),
    /// A bitmap.
    Bools(Vec<u8>),
    /// Integers.
    Int8s(Vec<i8>),
    /// Integers.
    Int16s(Vec<i16>),
    /// Integers, and days since the Unix epoch.
    Int32s(Vec<i32>),
    /// Integers, and microseconds since the Unix epoch.
    Int64s(Vec<i64>),
    /// Integers.
    Uint8s(Vec<u8>),
    /// Integers.
    Uint16s(Vec<u16>),
    /// Integers.
    Uint32s(Vec<u32>),
    /// Integers.
    Uint64s(Vec<u64>),
    /// Floats.
    Float32s(Vec<f32>),
    /// Floats.
    Float64s(Vec<f64>),
    /// Two words a value, the low word first.
    Decimals(Vec<u64>),
    /// Text, JSON or bytes.
    Strings(Column),
    /// Offsets, and the number of the child with the elements.
    Lists((Vec<u32>, u32)),
    /// The numbers of the children with the members.
    Structs(Vec<u32>),
}
