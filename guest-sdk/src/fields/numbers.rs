//! Numbers, and the values that are numbers in a column.

use super::columns::{ColumnOf, misread};
use super::give::whole_chunks;
use super::{
    CHUNK, DataType, Date, Decimal, Field, FieldOut, FieldType, FromField, Inputs, IntoField, Timestamp, Values,
};
use crate::bytes::copy_block;

/// A number as it stands in a column.
pub trait Number: bytemuck::Pod + Default {
    /// Makes the values of a column.
    #[doc(hidden)]
    fn values(numbers: Vec<Self>) -> Values;
    /// Returns the numbers of a column of this type.
    #[doc(hidden)]
    fn numbers(values: &Values) -> Option<&[Self]>;
}

/// A column of numbers of an answer. The column starts with zeros, because safe code cannot leave memory unwritten.
#[derive(Debug)]
pub struct NumbersOut<N> {
    numbers: Vec<N>,
}

/// 32 numbers that are written together.
#[derive(Debug)]
pub struct NumbersTurn<'o, N> {
    numbers: [N; CHUNK],
    chunks: &'o mut [[N; CHUNK]],
    at: usize,
}

impl<N: Number> FieldOut for NumbersOut<N> {
    type Chunk<'o>
        = &'o mut [N; CHUNK]
    where
        N: 'o;
    type Turn<'o>
        = NumbersTurn<'o, N>
    where
        N: 'o;

    fn begin(_: &'static FieldType, rows: usize) -> Self {
        Self { numbers: vec![N::default(); whole_chunks(rows)] }
    }

    #[inline(always)]
    fn chunk<'o>(&'o mut self, at: usize, _: Inputs<'o>) -> Self::Chunk<'o> {
        let (chunks, _) = self.numbers.as_chunks_mut();
        match chunks.get_mut(at) {
            Some(chunk) => chunk,
            None => misread("an answer", "room for its rows"),
        }
    }

    #[inline(always)]
    fn skip(_: &mut Self::Chunk<'_>, _: usize) {}

    #[inline(always)]
    fn turn<'o>(&'o mut self, _: Inputs<'o>) -> Self::Turn<'o> {
        NumbersTurn { numbers: [N::default(); CHUNK], chunks: self.numbers.as_chunks_mut().0, at: 0 }
    }

    #[inline(always)]
    fn next_turn(turn: &mut Self::Turn<'_>, at: usize) {
        turn.at = at;
    }

    #[inline(always)]
    fn skip_in_turn(_: &mut Self::Turn<'_>, _: usize) {}

    #[inline(always)]
    fn end(turn: &mut Self::Turn<'_>) {
        match turn.chunks.get_mut(turn.at) {
            Some(place) => copy_block(bytemuck::bytes_of(&turn.numbers), bytemuck::bytes_of_mut(place)),
            None => misread("an answer", "room for its rows"),
        }
    }

    fn grow(&mut self, rows: usize) {
        self.numbers.resize(whole_chunks(rows), N::default());
    }

    fn truncate(&mut self, _: usize) {}

    fn finish(mut self, rows: usize, _: Inputs<'_>, _: &mut Vec<Field>) -> Field {
        self.numbers.truncate(rows);
        Field { values: N::values(self.numbers), validity: None }
    }
}

/// The numbers of a column, cut to its rows.
pub(crate) fn numbers<N: Number>(from: ColumnOf<'_>) -> &[N] {
    match N::numbers(&from.field().values).and_then(|numbers| numbers.get(..from.rows())) {
        Some(numbers) => numbers,
        None => misread("a column", "numbers of its field's type, one for each row"),
    }
}

/// Returns 32 rows of a column.
#[inline(always)]
pub(crate) fn chunk_of<'a, N>(column: &&'a [N], at: usize) -> &'a [N; CHUNK] {
    let (chunks, _) = column.as_chunks();
    match chunks.get(at) {
        Some(chunk) => chunk,
        None => misread("a column", "rows for another turn"),
    }
}

macro_rules! stored {
    ($($number:ty: $case:ident),*) => {$(
        impl Number for $number {
            fn values(numbers: Vec<Self>) -> Values {
                Values::$case(numbers)
            }

            fn numbers(values: &Values) -> Option<&[Self]> {
                match values {
                    Values::$case(numbers) => Some(numbers),
                    _ => None,
                }
            }
        }
    )*};
}

stored!(
    i8: Int8s, i16: Int16s, i32: Int32s, i64: Int64s, u8: Uint8s, u16: Uint16s, u32: Uint32s, u64: Uint64s,
    f32: Float32s, f64: Float64s
);

/// The words of a decimal, the low word first.
impl Number for [u64; 2] {
    fn values(numbers: Vec<Self>) -> Values {
        Values::Decimals(numbers.into_flattened())
    }

    fn numbers(values: &Values) -> Option<&[Self]> {
        match values {
            Values::Decimals(words) => Some(words.as_chunks().0),
            _ => None,
        }
    }
}

/// A value that is read from a number and written as one.
macro_rules! field {
    ([$($generics:tt)*] $value:ty, $data_type:expr, $number:ty, $read:expr, $write:expr) => {
        impl<'a, $($generics)*> FromField<'a> for $value {
            const DATA_TYPE: DataType = $data_type;
            const IN_PLACE: bool = true;
            type Column = &'a [$number];
            type Chunk = &'a [$number; CHUNK];

            fn column(from: ColumnOf<'a>) -> Self::Column {
                numbers(from)
            }

            #[inline(always)]
            fn chunk(column: &Self::Column, at: usize) -> Self::Chunk {
                chunk_of(column, at)
            }

            #[inline(always)]
            fn in_chunk<const WHOLE: bool>(chunk: &Self::Chunk, row: usize) -> Self {
                $read(chunk.get(row).copied().unwrap_or_default())
            }

            #[inline(always)]
            fn get(column: &Self::Column, row: usize) -> Self {
                $read(column.get(row).copied().unwrap_or_default())
            }
        }

        impl<$($generics)*> IntoField for $value {
            const DATA_TYPE: DataType = $data_type;
            type Out = NumbersOut<$number>;

            #[inline(always)]
            fn put(self, chunk: &mut &mut [$number; CHUNK], row: usize) {
                if let Some(place) = chunk.get_mut(row) {
                    *place = $write(self);
                }
            }

            #[inline(always)]
            fn keep<'o>(self, turn: &mut NumbersTurn<'o, $number>, row: usize)
            where
                Self: 'o,
            {
                if let Some(place) = turn.numbers.get_mut(row) {
                    *place = $write(self);
                }
            }

            #[inline(always)]
            fn keep_option<'o>(value: Option<Self>, turn: &mut NumbersTurn<'o, $number>, row: usize)
            where
                Self: 'o,
            {
                if let Some(place) = turn.numbers.get_mut(row) {
                    *place = value.map($write).unwrap_or_default();
                }
            }
        }
    };
}

macro_rules! plain {
    ($($number:ty: $data_type:ident),*) => {$(
        field!([] $number, DataType::$data_type, $number, std::convert::identity, std::convert::identity);
    )*};
}

plain!(i8: S8, i16: S16, i32: S32, i64: S64, u8: U8, u16: U16, u32: U32, u64: U64, f32: F32, f64: F64);
field!([] Timestamp, DataType::Timestamp, i64, Timestamp, |timestamp: Timestamp| timestamp.0);
field!([] Date, DataType::Date, i32, Date, |date: Date| date.0);
field!([const P: u8, const S: u8] Decimal<P, S>, Decimal::<P, S>::DATA_TYPE, [u64; 2], Decimal::of_words, Decimal::words);
