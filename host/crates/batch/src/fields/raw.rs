use super::{Schema, Storage};

/// Columns of a field as an untrusted guest sends them, not yet checked.
#[derive(Debug, Clone, Copy)]
pub struct RawField<'a> {
    /// The values.
    pub values: RawValues<'a>,
    /// Bitmap of the rows that have a value; absent if every row has one.
    pub validity: Option<&'a [u8]>,
}

/// Values of a field as an untrusted guest sends them, not yet checked.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "each variant but the first is the layout of the same name in `Values`")]
pub enum RawValues<'a> {
    /// A field of the input table, unchanged, by its number.
    Same(u32),
    Bools(&'a [u8]),
    S8(&'a [i8]),
    S16(&'a [i16]),
    S32(&'a [i32]),
    S64(&'a [i64]),
    U8(&'a [u8]),
    U16(&'a [u16]),
    U32(&'a [u32]),
    U64(&'a [u64]),
    F32(&'a [f32]),
    F64(&'a [f64]),
    Decimals(&'a [u64]),
    /// Offsets and bytes.
    Strings(&'a [u32], &'a [u8]),
    /// Offsets, and the number of the child with the elements.
    Lists(&'a [u32], u32),
    /// The numbers of the children with the members.
    Structs(&'a [u32]),
}

/// A table as an untrusted guest sends it, not yet checked.
#[derive(Debug, Clone, Default)]
pub struct RawTable<'a> {
    /// The fields.
    pub fields: Vec<RawField<'a>>,
    /// The columns inside lists and structs, to which these refer by number.
    pub children: Vec<RawField<'a>>,
}

impl RawValues<'_> {
    /// The layout, unless the values are a field of the input.
    #[must_use]
    pub fn storage(&self) -> Option<Storage> {
        Some(match self {
            Self::Same(_) => return None,
            Self::Bools(_) => Storage::Bools,
            Self::S8(_) => Storage::S8,
            Self::S16(_) => Storage::S16,
            Self::S32(_) => Storage::S32,
            Self::S64(_) => Storage::S64,
            Self::U8(_) => Storage::U8,
            Self::U16(_) => Storage::U16,
            Self::U32(_) => Storage::U32,
            Self::U64(_) => Storage::U64,
            Self::F32(_) => Storage::F32,
            Self::F64(_) => Storage::F64,
            Self::Decimals(_) => Storage::Decimals,
            Self::Strings(..) => Storage::Strings,
            Self::Lists(..) => Storage::Lists,
            Self::Structs(_) => Storage::Structs,
        })
    }
}

impl RawValues<'_> {
    /// Bytes of the values and of their offsets.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        match self {
            Self::Same(_) => 0,
            Self::Bools(values) | Self::U8(values) => values.len(),
            Self::S8(values) => values.len(),
            Self::S16(values) => size_of_val(*values),
            Self::S32(values) => size_of_val(*values),
            Self::S64(values) => size_of_val(*values),
            Self::U16(values) => size_of_val(*values),
            Self::U32(values) => size_of_val(*values),
            Self::U64(values) | Self::Decimals(values) => size_of_val(*values),
            Self::F32(values) => size_of_val(*values),
            Self::F64(values) => size_of_val(*values),
            Self::Strings(offsets, bytes) => size_of_val(*offsets) + bytes.len(),
            Self::Lists(numbers, _) | Self::Structs(numbers) => size_of_val(*numbers),
        }
    }
}

/// The table that a guest answers, to which `same` in the answer refers.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// The fields of the table.
    pub schema: &'a Schema,
    /// Number of rows.
    pub rows: usize,
    /// Whether each field came with nulls.
    pub nulls: &'a [bool],
}

/// A field of an answer that is a field of the input, unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SameField {
    /// Number of the field in the answer.
    pub to: usize,
    /// Number of the field in the input.
    pub from: usize,
}
