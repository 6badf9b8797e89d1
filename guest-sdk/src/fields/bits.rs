//! Bitmaps: booleans, and the validity of nullable fields.

use super::columns::{ColumnOf, misread};
use super::give::whole_chunks;
use super::{CHUNK, DataType, Field, FieldOut, FieldType, FromField, Inputs, IntoField, Values};

/// Returns bit `row` of a bitmap.
#[inline(always)]
pub(crate) fn bit(bitmap: &[u8], row: usize) -> bool {
    bitmap.get(row / 8).is_some_and(|byte| byte >> (row % 8) & 1 == 1)
}

/// Returns the bits of 32 rows. Rows past the end of the bitmap are not set.
#[inline(always)]
pub(crate) fn bits_of(bitmap: &[u8], at: usize) -> u32 {
    bitmap.as_chunks().0.get(at).map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

/// Returns whether a row is set in the bits of a chunk.
#[inline(always)]
pub(crate) fn is_set(bits: u32, row: usize) -> bool {
    bits >> (row % CHUNK) & 1 == 1
}

/// A bitmap of an answer.
#[derive(Debug)]
pub struct BitsOut {
    bits: Vec<u32>,
}

impl BitsOut {
    pub(crate) fn with_rows(rows: usize) -> Self {
        Self { bits: vec![0; whole_chunks(rows) / CHUNK] }
    }

    #[inline(always)]
    pub(crate) fn bits(&mut self, at: usize) -> &mut u32 {
        match self.bits.get_mut(at) {
            Some(bits) => bits,
            None => misread("an answer", "room for its rows"),
        }
    }

    pub(crate) fn resize(&mut self, rows: usize) {
        self.bits.resize(whole_chunks(rows) / CHUNK, 0);
    }

    /// Clears all rows from this one, so that they can be written again.
    pub(crate) fn clear_from(&mut self, rows: usize) {
        for (at, bits) in self.bits.iter_mut().enumerate().skip(rows / CHUNK) {
            let kept = rows.saturating_sub(at * CHUNK);
            *bits &= 1_u32.checked_shl(kept as u32).map_or(u32::MAX, |end| end - 1);
        }
    }

    /// Returns the bitmap of this number of rows.
    pub(crate) fn into_bytes(mut self, rows: usize) -> Vec<u8> {
        self.clear_from(rows);
        let mut bytes: Vec<u8> = self.bits.iter().flat_map(|bits| bits.to_le_bytes()).collect();
        bytes.truncate(rows.div_ceil(8));
        bytes
    }
}

impl FieldOut for BitsOut {
    type Chunk<'o> = &'o mut u32;

    fn begin(_: &'static FieldType, rows: usize) -> Self {
        Self::with_rows(rows)
    }

    #[inline(always)]
    fn chunk<'o>(&'o mut self, at: usize, _: Inputs<'o>) -> &'o mut u32 {
        self.bits(at)
    }

    #[inline(always)]
    fn skip(_: &mut &mut u32, _: usize) {}

    fn grow(&mut self, rows: usize) {
        self.resize(rows);
    }

    fn truncate(&mut self, rows: usize) {
        self.clear_from(rows);
    }

    fn finish(self, rows: usize, _: &mut Vec<Field>) -> Field {
        Field { values: Values::Bools(self.into_bytes(rows)), validity: None }
    }
}

impl<'a> FromField<'a> for bool {
    const DATA_TYPE: DataType = DataType::Bool;
    type Column = &'a [u8];
    type Chunk = u32;

    fn column(from: ColumnOf<'a>) -> &'a [u8] {
        match &from.field().values {
            Values::Bools(bitmap) if bitmap.len() == from.rows().div_ceil(8) => bitmap,
            _ => misread("a column", "a bit for each row"),
        }
    }

    #[inline(always)]
    fn chunk(column: &&'a [u8], at: usize) -> u32 {
        bits_of(column, at)
    }

    #[inline(always)]
    fn in_chunk<const WHOLE: bool>(chunk: &u32, row: usize) -> Self {
        is_set(*chunk, row)
    }

    #[inline(always)]
    fn get(column: &&'a [u8], row: usize) -> Self {
        bit(column, row)
    }
}

impl IntoField for bool {
    const DATA_TYPE: DataType = DataType::Bool;
    type Out = BitsOut;

    #[inline(always)]
    fn put(self, chunk: &mut &mut u32, row: usize) {
        **chunk |= u32::from(self) << (row % CHUNK);
    }
}

#[cfg(test)]
mod tests {
    use super::BitsOut;
    use crate::fields::IntoField;

    #[test]
    fn rows_that_are_taken_back_leave_no_bits() {
        for kept in [0, 1, 31, 32, 33, 40, 64, 70] {
            let mut out = BitsOut::with_rows(70);
            for row in 0..70 {
                true.put(&mut out.bits(row / 32), row % 32);
            }
            out.clear_from(kept);
            let bytes = out.into_bytes(70);
            let set: u32 = bytes.iter().map(|byte| byte.count_ones()).sum();
            assert_eq!((set as usize, bytes.len()), (kept, 9));
        }
    }
}
