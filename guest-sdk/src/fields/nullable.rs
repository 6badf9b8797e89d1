//! Fields that may have no value.

use super::bits::{BitsOut, BitsTurn, NextBits, bit, bits_of};
use super::columns::{ColumnOf, misread};
use super::numbers::{Number, NumbersOut};
use super::{CHUNK, DataType, Field, FieldOut, FieldType, FromField, Inputs, IntoField, Values};

impl<'a, T: FromField<'a>> FromField<'a> for Option<T> {
    const DATA_TYPE: DataType = T::DATA_TYPE;
    const NULLABLE: bool = once(T::NULLABLE);
    type Column = (T::Column, Option<&'a [u8]>);
    type Chunk = (T::Chunk, Valid);

    fn column(from: ColumnOf<'a>) -> Self::Column {
        let validity = from.field().validity.as_deref();
        if validity.is_some_and(|bitmap| bitmap.len() != from.rows().div_ceil(8)) {
            misread("the validity of a column", "a bit for each row");
        }
        (T::column(from), validity)
    }

    #[inline(always)]
    fn chunk((column, validity): &Self::Column, at: usize) -> Self::Chunk {
        (T::chunk(column, at), Valid::of(validity.map_or(u32::MAX, |bitmap| bits_of(bitmap, at))))
    }

    #[inline(always)]
    fn whole((chunk, valid): &Self::Chunk, rows: u32) -> bool {
        valid.bits & rows == rows && T::whole(chunk, rows)
    }

    #[inline(always)]
    fn in_chunk<const WHOLE: bool>((chunk, valid): &Self::Chunk, row: usize) -> Self {
        let valid = WHOLE || valid.rows.get(row).is_some_and(|valid| *valid);
        if T::IN_PLACE {
            valid.then_some(T::in_chunk::<WHOLE>(chunk, row))
        } else {
            valid.then(|| T::in_chunk::<WHOLE>(chunk, row))
        }
    }

    #[inline(always)]
    fn get((column, validity): &Self::Column, row: usize) -> Self {
        validity.is_none_or(|bitmap| bit(bitmap, row)).then(|| T::get(column, row))
    }
}

/// The rows of a chunk that have a value: as bits, and as a byte each, which a loop with SIMD can read.
#[derive(Debug, Clone, Copy)]
pub struct Valid {
    bits: u32,
    rows: [bool; CHUNK],
}

impl Valid {
    #[inline(always)]
    fn of(bits: u32) -> Self {
        let mut rows = [false; CHUNK];
        for (rows, byte) in rows.as_chunks_mut::<8>().0.iter_mut().zip(bits.to_le_bytes()) {
            *rows = spread(byte);
        }
        Self { bits, rows }
    }
}

/// Returns the bits of a byte, the least significant first.
#[inline(always)]
fn spread(byte: u8) -> [bool; 8] {
    // Byte `i` keeps bit `i`, and the sum sets the highest bit of each byte that is not 0.
    let alone = (u64::from(byte) * 0x0101_0101_0101_0101) & 0x8040_2010_0804_0201;
    let highest = alone + 0x7f7f_7f7f_7f7f_7f7f;
    (highest >> 7).to_le_bytes().map(|byte| byte & 1 == 1)
}

/// Returns whether an `Option` is nullable, which it is. An `Option` in an `Option` does not compile.
const fn once(nullable: bool) -> bool {
    assert!(!nullable, "an `Option` in an `Option` has no meaning in a column: write it once");
    true
}

/// A nullable column of an answer.
#[derive(Debug)]
pub struct NullableOut<O> {
    values: O,
    valid: BitsOut,
}

impl<O: Absent> FieldOut for NullableOut<O> {
    type Chunk<'o>
        = (O::Chunk<'o>, NextBits<'o>)
    where
        O: 'o;
    type Turn<'o>
        = (O::Turn<'o>, BitsTurn<'o>)
    where
        O: 'o;

    fn begin(field: &'static FieldType, rows: usize) -> Self {
        Self { values: O::begin(field, rows), valid: BitsOut::with_rows(rows) }
    }

    #[inline(always)]
    fn chunk<'o>(&'o mut self, at: usize, inputs: Inputs<'o>) -> Self::Chunk<'o> {
        (self.values.chunk(at, inputs), self.valid.next(at))
    }

    #[inline(always)]
    fn skip((chunk, valid): &mut Self::Chunk<'_>, row: usize) {
        // A rejected record counts as valid, so that it does not cost a bitmap.
        valid.set(row, true);
        O::skip(chunk, row);
    }

    #[inline(always)]
    fn turn<'o>(&'o mut self, inputs: Inputs<'o>) -> Self::Turn<'o> {
        (self.values.turn(inputs), self.valid.turns())
    }

    #[inline(always)]
    fn next_turn((turn, valid): &mut Self::Turn<'_>, at: usize) {
        O::next_turn(turn, at);
        valid.begin(at);
    }

    #[inline(always)]
    fn skip_in_turn((turn, valid): &mut Self::Turn<'_>, row: usize) {
        valid.set(row, true);
        O::skip_in_turn(turn, row);
    }

    #[inline(always)]
    fn end((turn, valid): &mut Self::Turn<'_>) {
        O::end(turn);
        valid.end();
    }

    fn grow(&mut self, rows: usize) {
        self.values.grow(rows);
        self.valid.resize(rows);
    }

    fn truncate(&mut self, rows: usize) {
        self.values.truncate(rows);
        self.valid.clear_from(rows);
    }

    fn bytes(&self) -> usize {
        self.values.bytes()
    }

    fn finish(mut self, rows: usize, inputs: Inputs<'_>, children: &mut Vec<Field>) -> Field {
        let bitmap = self.valid.into_bytes(rows);
        let all = bitmap.iter().map(|byte| byte.count_ones() as usize).sum::<usize>() == rows;
        let validity = (!all).then_some(bitmap);
        self.values.settle(rows, inputs, validity.as_deref());
        let values = self.values.finish(rows, inputs, children).values;
        // The input's column comes with its own validity.
        let validity = validity.filter(|_| !matches!(values, Values::Same(_)));
        Field { values, validity }
    }
}

impl<T: IntoField<Out: Absent>> IntoField for Option<T> {
    const DATA_TYPE: DataType = T::DATA_TYPE;
    const NULLABLE: bool = once(T::NULLABLE);
    type Out = NullableOut<T::Out>;

    #[inline(always)]
    fn put(self, (chunk, valid): &mut <Self::Out as FieldOut>::Chunk<'_>, row: usize) {
        valid.set(row, self.is_some());
        match self {
            Some(value) => value.put(chunk, row),
            None => T::Out::absent(chunk, row),
        }
    }

    #[inline(always)]
    fn keep<'o>(self, (turn, valid): &mut <Self::Out as FieldOut>::Turn<'o>, row: usize)
    where
        Self: 'o,
    {
        valid.set(row, self.is_some());
        T::keep_option(self, turn, row);
    }
}

/// A column that a nullable field can have.
pub trait Absent: FieldOut {
    /// Leaves a row of a chunk without a value, because the record has none.
    #[inline(always)]
    fn absent(_: &mut Self::Chunk<'_>, _: usize) {}

    /// Leaves a row of a turn without a value, because the record has none.
    #[inline(always)]
    fn absent_in_turn(_: &mut Self::Turn<'_>, _: usize) {}

    /// Ends the rows: those that `validity` names have a value, or all have one. A column that repeats one with other
    /// rows copies it.
    fn settle(&mut self, rows: usize, inputs: Inputs<'_>, validity: Option<&[u8]>) {
        let _ = (rows, inputs, validity);
    }
}

impl<N: Number> Absent for NumbersOut<N> {}

impl Absent for BitsOut {}
