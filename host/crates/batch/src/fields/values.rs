use super::{Bits, Offsets, RawValues, Rows, Storage};
use crate::{Bitmap, Column};

/// Values of a field, one for each row, in Arrow's layout. The value of a row without a value (see
/// [`FieldColumn`](super::FieldColumn)) means nothing.
#[derive(Debug, Clone)]
pub enum Values {
    /// Bits, least significant first.
    Bools(Bits),
    /// Integers of 8 bits with a sign.
    S8(Vec<i8>),
    /// Integers of 16 bits with a sign.
    S16(Vec<i16>),
    /// Integers of 32 bits with a sign; days.
    S32(Vec<i32>),
    /// Integers of 64 bits with a sign; timestamps.
    S64(Vec<i64>),
    /// Integers of 8 bits without a sign.
    U8(Vec<u8>),
    /// Integers of 16 bits without a sign.
    U16(Vec<u16>),
    /// Integers of 32 bits without a sign.
    U32(Vec<u32>),
    /// Integers of 64 bits without a sign.
    U64(Vec<u64>),
    /// IEEE 754 numbers of 32 bits.
    F32(Vec<f32>),
    /// IEEE 754 numbers of 64 bits.
    F64(Vec<f64>),
    /// Decimals: an integer of 128 bits with a sign for each row, as two words, the low one first.
    Decimals(Vec<u64>),
    /// Texts, bytes, and JSON.
    Strings(Column),
    /// Lists. Their elements are the column inside this one.
    Lists(Offsets),
    /// Structs. Their members are the columns inside this one.
    Structs(Rows),
}

/// One expression for each kind of layout. `$fixed` is compiled once for each type of number, and `$bools` for bits,
/// lists and structs, which have methods of the same names.
macro_rules! each_layout {
    ($values:expr, $v:pat => $fixed:expr, $b:pat => $bools:expr, $d:pat => $decimals:expr, $s:pat => $strings:expr) => {
        match $values {
            Values::Bools($b) => $bools,
            Values::S8($v) => $fixed,
            Values::S16($v) => $fixed,
            Values::S32($v) => $fixed,
            Values::S64($v) => $fixed,
            Values::U8($v) => $fixed,
            Values::U16($v) => $fixed,
            Values::U32($v) => $fixed,
            Values::U64($v) => $fixed,
            Values::F32($v) => $fixed,
            Values::F64($v) => $fixed,
            Values::Decimals($d) => $decimals,
            Values::Strings($s) => $strings,
            Values::Lists($b) => $bools,
            Values::Structs($b) => $bools,
        }
    };
}
pub(super) use each_layout;

/// One expression for two values of the same layout; nothing for two of different layouts.
macro_rules! each_pair {
    ($pair:expr, $a:ident, $b:ident => $fixed:expr, $bools:expr, $decimals:expr, $strings:expr) => {
        match $pair {
            (Values::Bools($a), Values::Bools($b)) => $bools,
            (Values::S8($a), Values::S8($b)) => $fixed,
            (Values::S16($a), Values::S16($b)) => $fixed,
            (Values::S32($a), Values::S32($b)) => $fixed,
            (Values::S64($a), Values::S64($b)) => $fixed,
            (Values::U8($a), Values::U8($b)) => $fixed,
            (Values::U16($a), Values::U16($b)) => $fixed,
            (Values::U32($a), Values::U32($b)) => $fixed,
            (Values::U64($a), Values::U64($b)) => $fixed,
            (Values::F32($a), Values::F32($b)) => $fixed,
            (Values::F64($a), Values::F64($b)) => $fixed,
            (Values::Decimals($a), Values::Decimals($b)) => $decimals,
            (Values::Strings($a), Values::Strings($b)) => $strings,
            (Values::Lists($a), Values::Lists($b)) => $bools,
            (Values::Structs($a), Values::Structs($b)) => $bools,
            _ => {}
        }
    };
}

impl Values {
    /// No values, in this layout.
    #[must_use]
    pub fn new(storage: Storage) -> Self {
        match storage {
            Storage::Bools => Self::Bools(Bits::default()),
            Storage::S8 => Self::S8(Vec::new()),
            Storage::S16 => Self::S16(Vec::new()),
            Storage::S32 => Self::S32(Vec::new()),
            Storage::S64 => Self::S64(Vec::new()),
            Storage::U8 => Self::U8(Vec::new()),
            Storage::U16 => Self::U16(Vec::new()),
            Storage::U32 => Self::U32(Vec::new()),
            Storage::U64 => Self::U64(Vec::new()),
            Storage::F32 => Self::F32(Vec::new()),
            Storage::F64 => Self::F64(Vec::new()),
            Storage::Decimals => Self::Decimals(Vec::new()),
            Storage::Strings => Self::Strings(Column::new()),
            Storage::Lists => Self::Lists(Offsets::default()),
            Storage::Structs => Self::Structs(Rows::default()),
        }
    }

    /// The layout.
    #[must_use]
    pub fn storage(&self) -> Storage {
        self.as_raw().storage().unwrap_or(Storage::Bools)
    }

    /// Number of values.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        each_layout!(self, v => v.len(), b => b.len(), d => d.len() / 2, s => s.len())
    }

    /// Whether there is no value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The values as a guest would send them. The numbers of the columns inside a list or a struct are left out.
    #[must_use]
    pub(super) fn as_raw(&self) -> RawValues<'_> {
        match self {
            Self::Bools(v) => RawValues::Bools(v.bytes()),
            Self::S8(v) => RawValues::S8(v),
            Self::S16(v) => RawValues::S16(v),
            Self::S32(v) => RawValues::S32(v),
            Self::S64(v) => RawValues::S64(v),
            Self::U8(v) => RawValues::U8(v),
            Self::U16(v) => RawValues::U16(v),
            Self::U32(v) => RawValues::U32(v),
            Self::U64(v) => RawValues::U64(v),
            Self::F32(v) => RawValues::F32(v),
            Self::F64(v) => RawValues::F64(v),
            Self::Decimals(v) => RawValues::Decimals(v),
            Self::Strings(v) => RawValues::Strings(v.offsets(), v.bytes()),
            Self::Lists(v) => RawValues::Lists(v.numbers(), 0),
            Self::Structs(_) => RawValues::Structs(&[]),
        }
    }

    /// Bytes that the values count for on an edge.
    pub(super) fn weight(&self) -> usize {
        each_layout!(
            self,
            v => size_of_val(v.as_slice()),
            b => b.weight(),
            d => size_of_val(d.as_slice()),
            s => s.byte_len() + size_of::<u32>() * s.len()
        )
    }

    /// Bytes of memory that the buffers occupy, used or not.
    pub(super) fn capacity(&self) -> usize {
        fn bytes<T>(values: &Vec<T>) -> usize {
            values.capacity() * size_of::<T>()
        }
        each_layout!(self, v => bytes(v), b => b.capacity(), d => bytes(d), s => s.capacity())
    }

    /// Removes the values and keeps the buffers.
    pub(super) fn clear(&mut self) {
        each_layout!(self, v => v.clear(), b => b.clear(), d => d.clear(), s => s.clear());
    }

    /// Keeps the first `rows` values.
    pub(super) fn truncate(&mut self, rows: usize) {
        each_layout!(
            self,
            v => v.truncate(rows),
            b => b.truncate(rows),
            d => d.truncate(2 * rows),
            s => s.truncate(rows)
        );
    }

    /// Adds a value that means nothing, for a row without a value.
    pub(super) fn push_nothing(&mut self) {
        each_layout!(
            self,
            v => v.push(Default::default()),
            b => b.push_nothing(),
            d => d.extend([0, 0]),
            s => s.push(b"")
        );
    }

    /// Adds values `start..end` of `other`, which has the same layout. Rows past the end of `other` are left out.
    pub(super) fn append_range(&mut self, other: &Self, start: usize, end: usize) {
        let end = end.min(other.len());
        each_pair!(
            (self, other),
            a, b => a.extend_from_slice(b.get(start..end).unwrap_or_default()),
            a.append_range(b, start, end),
            a.extend_from_slice(b.get(2 * start..2 * end).unwrap_or_default()),
            a.append_range(b, start, end)
        );
    }

    /// Adds the values of `other`, which has the same layout, that have a set bit in the bitmap `kept`.
    pub(super) fn append_kept(&mut self, other: &Self, kept: Bitmap<'_>) {
        let rows = other.len();
        each_pair!(
            (self, other),
            a, b => {
                a.reserve(rows);
                kept.runs(rows, |start, end| a.extend_from_slice(b.get(start..end.min(rows)).unwrap_or_default()));
            },
            kept.runs(rows, |start, end| a.append_range(b, start, end)),
            {
                a.reserve(2 * rows);
                kept.runs(rows, |start, end| {
                    a.extend_from_slice(b.get(2 * start..2 * end.min(rows)).unwrap_or_default());
                });
            },
            a.append_kept(b, kept)
        );
    }
}
