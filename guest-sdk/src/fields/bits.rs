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

    /// Returns 32 rows, from row `32 * at`.
    #[inline(always)]
    pub(crate) fn next(&mut self, at: usize) -> NextBits<'_> {
        match self.bits.get_mut(at) {
            Some(place) => NextBits { bits: *place, place },
            None => misread("an answer", "room for its rows"),
        }
    }

    /// Makes room for 32 rows that are written together.
    #[inline(always)]
    pub(crate) fn turns(&mut self) -> BitsTurn<'_> {
        BitsTurn { bits: [false; CHUNK], words: &mut self.bits, at: 0 }
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

/// 32 bits of a bitmap, in a register while they are written. They reach the bitmap when the value is dropped: a bit at
/// a time in memory, each row waited for the row before.
#[derive(Debug)]
pub struct NextBits<'o> {
    bits: u32,
    place: &'o mut u32,
}

impl NextBits<'_> {
    /// Writes the bit of a row, which is not set yet.
    #[inline(always)]
    pub(crate) fn set(&mut self, row: usize, bit: bool) {
        self.bits |= u32::from(bit) << (row % CHUNK);
    }
}

impl Drop for NextBits<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        *self.place = self.bits;
    }
}

/// 32 bits that are written together, a byte each.
#[derive(Debug)]
pub struct BitsTurn<'o> {
    bits: [bool; CHUNK],
    words: &'o mut [u32],
    at: usize,
}

impl BitsTurn<'_> {
    /// Begins 32 rows, from row `32 * at`.
    #[inline(always)]
    pub(crate) fn begin(&mut self, at: usize) {
        self.at = at;
    }

    /// Writes the bit of a row.
    #[inline(always)]
    pub(crate) fn set(&mut self, row: usize, bit: bool) {
        if let Some(place) = self.bits.get_mut(row) {
            *place = bit;
        }
    }

    /// Ends the rows.
    #[inline(always)]
    pub(crate) fn end(&mut self) {
        let (bytes, _) = self.bits.as_chunks::<8>();
        let mut packed = 0;
        for (at, bools) in bytes.iter().enumerate() {
            // The factor moves bit 0 of byte `i` to bit `56 + i`.
            let byte = u64::from_le_bytes(bools.map(u8::from)).wrapping_mul(0x0102_0408_1020_4080) >> 56;
            packed |= (byte as u32) << (8 * at);
        }
        match self.words.get_mut(self.at) {
            Some(place) => *place = packed,
            None => misread("an answer", "room for its rows"),
        }
    }
}

impl FieldOut for BitsOut {
    type Chunk<'o> = NextBits<'o>;
    type Turn<'o> = BitsTurn<'o>;

    fn begin(_: &'static FieldType, rows: usize) -> Self {
        Self::with_rows(rows)
    }

    #[inline(always)]
    fn chunk<'o>(&'o mut self, at: usize, _: Inputs<'o>) -> NextBits<'o> {
        self.next(at)
    }

    #[inline(always)]
    fn skip(_: &mut NextBits<'_>, _: usize) {}

    #[inline(always)]
    fn turn<'o>(&'o mut self, _: Inputs<'o>) -> BitsTurn<'o> {
        self.turns()
    }

    #[inline(always)]
    fn next_turn(turn: &mut BitsTurn<'_>, at: usize) {
        turn.begin(at);
    }

    #[inline(always)]
    fn skip_in_turn(turn: &mut BitsTurn<'_>, row: usize) {
        turn.set(row, false);
    }

    #[inline(always)]
    fn end(turn: &mut BitsTurn<'_>) {
        turn.end();
    }

    fn grow(&mut self, rows: usize) {
        self.resize(rows);
    }

    fn truncate(&mut self, rows: usize) {
        self.clear_from(rows);
    }

    fn finish(self, rows: usize, _: Inputs<'_>, _: &mut Vec<Field>) -> Field {
        Field { values: Values::Bools(self.into_bytes(rows)), validity: None }
    }
}

impl<'a> FromField<'a> for bool {
    const DATA_TYPE: DataType = DataType::Bool;
    const IN_PLACE: bool = true;
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
    fn put(self, chunk: &mut NextBits<'_>, row: usize) {
        chunk.set(row, self);
    }

    #[inline(always)]
    fn keep<'o>(self, turn: &mut BitsTurn<'o>, row: usize)
    where
        Self: 'o,
    {
        turn.set(row, self);
    }

    #[inline(always)]
    fn keep_option<'o>(value: Option<Self>, turn: &mut BitsTurn<'o>, row: usize)
    where
        Self: 'o,
    {
        turn.set(row, value.unwrap_or_default());
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
                true.put(&mut out.next(row / 32), row % 32);
            }
            out.clear_from(kept);
            let bytes = out.into_bytes(70);
            let set: u32 = bytes.iter().map(|byte| byte.count_ones()).sum();
            assert_eq!((set as usize, bytes.len()), (kept, 9));
        }
    }
}
