//! Text and bytes: reading them from a column.

use std::borrow::Cow;

use super::columns::{ColumnOf, misread};
use super::{CHUNK, DataType, FromField, Values};

/// A column of texts or bytes. The slices have the column's lengths: one more offset than rows.
#[derive(Debug, Clone, Copy)]
pub struct Texts<'a> {
    offsets: &'a [u32],
    bytes: &'a [u8],
}

/// 32 texts of a column. There is one more offset than texts.
#[derive(Debug, Clone, Copy)]
pub struct TextChunk<'a> {
    offsets: &'a [u32; CHUNK + 1],
    bytes: &'a [u8],
}

impl<'a> Texts<'a> {
    fn of(from: ColumnOf<'a>) -> Self {
        match &from.field().values {
            Values::Strings(column) if column.len() == from.rows() => {
                Self { offsets: &column.offsets, bytes: &column.bytes }
            }
            _ => misread("a column", "a text for each row"),
        }
    }

    #[inline(always)]
    fn chunk(&self, at: usize) -> TextChunk<'a> {
        match self.offsets.get(at * CHUNK..).and_then(|offsets| offsets.first_chunk()) {
            Some(offsets) => TextChunk { offsets, bytes: self.bytes },
            None => misread("a column", "rows for another turn"),
        }
    }

    #[inline(always)]
    fn get(&self, row: usize) -> &'a [u8] {
        let place = |row: usize| self.offsets.get(row).copied().unwrap_or_default() as usize;
        self.bytes.get(place(row)..place(row + 1)).unwrap_or_default()
    }
}

impl<'a> TextChunk<'a> {
    #[inline(always)]
    fn get(&self, row: usize) -> &'a [u8] {
        let place = |row: usize| self.offsets.get(row).copied().unwrap_or_default() as usize;
        // SAFETY: as in `text`, for the offsets: they never fall, and the last is the number of bytes. A check would
        // be a branch for each text, with which the compiler uses no SIMD.
        unsafe { self.bytes.get_unchecked(place(row)..place(row + 1)) }
    }
}

/// Returns an entry of a column of texts as text.
#[inline(always)]
fn text(bytes: &[u8]) -> &str {
    // SAFETY: the column comes from the host, which has checked that each entry of a field of type `string` or `json`
    // is UTF-8, or from this crate's own `testing`, which builds it from texts. No other code can make a `Table`. A
    // second check would cost 0.3 ns a record and more.
    unsafe { std::str::from_utf8_unchecked(bytes) }
}

/// A value that is read from an entry of a column.
macro_rules! entries {
    ($($value:ty: $data_type:ident, $in_place:literal, $read:expr);* $(;)?) => {$(
        impl<'a> FromField<'a> for $value {
            const DATA_TYPE: DataType = DataType::$data_type;
            const IN_PLACE: bool = $in_place;
            type Column = Texts<'a>;
            type Chunk = TextChunk<'a>;

            fn column(from: ColumnOf<'a>) -> Texts<'a> {
                Texts::of(from)
            }

            #[inline(always)]
            fn chunk(column: &Texts<'a>, at: usize) -> TextChunk<'a> {
                column.chunk(at)
            }

            #[inline(always)]
            fn in_chunk<const WHOLE: bool>(chunk: &TextChunk<'a>, row: usize) -> Self {
                $read(chunk.get(row))
            }

            #[inline(always)]
            fn get(column: &Texts<'a>, row: usize) -> Self {
                $read(column.get(row))
            }
        }
    )*};
}

entries! {
    &'a str: Text, true, text;
    Cow<'a, str>: Text, true, |bytes| Cow::Borrowed(text(bytes));
    String: Text, false, |bytes| text(bytes).to_owned();
    &'a [u8]: Bytes, true, std::convert::identity;
    Vec<u8>: Bytes, false, <[u8]>::to_vec;
}
