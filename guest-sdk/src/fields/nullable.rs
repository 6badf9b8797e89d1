//! Fields that may have no value.

use super::bits::{BitsOut, bit, bits_of, is_set};
use super::columns::{ColumnOf, misread};
use super::numbers::{Number, NumbersOut};
use super::{DataType, Field, FieldOut, FieldType, FromField, Inputs, IntoField, Values};

impl<'a, T: FromField<'a>> FromField<'a> for Option<T> {
    const DATA_TYPE: DataType = T::DATA_TYPE;
    const NULLABLE: bool = once(T::NULLABLE);
    type Column = (T::Column, Option<&'a [u8]>);
    type Chunk = (T::Chunk, u32);

    fn column(from: ColumnOf<'a>) -> Self::Column {
        let validity = from.field().validity.as_deref();
        if validity.is_some_and(|bitmap| bitmap.len() != from.rows().div_ceil(8)) {
            misread("the validity of a column", "a bit for each row");
        }
        (T::column(from), validity)
    }

    #[inline(always)]
    fn chunk((column, validity): &Self::Column, at: usize) -> Self::Chunk {
        (T::chunk(column, at), validity.map_or(u32::MAX, |bitmap| bits_of(bitmap, at)))
    }

    #[inline(always)]
    fn whole((chunk, valid): &Self::Chunk, rows: u32) -> bool {
        valid & rows == rows && T::whole(chunk, rows)
    }

    #[inline(always)]
    fn in_chunk<const WHOLE: bool>((chunk, valid): &Self::Chunk, row: usize) -> Self {
        (WHOLE || is_set(*valid, row)).then(|| T::in_chunk::<WHOLE>(chunk, row))
    }

    #[inline(always)]
    fn get((column, validity): &Self::Column, row: usize) -> Self {
        validity.is_none_or(|bitmap| bit(bitmap, row)).then(|| T::get(column, row))
    }
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

impl<O: FieldOut> FieldOut for NullableOut<O> {
    type Chunk<'o>
        = (O::Chunk<'o>, &'o mut u32)
    where
        O: 'o;

    fn begin(field: &'static FieldType, rows: usize) -> Self {
        Self { values: O::begin(field, rows), valid: BitsOut::with_rows(rows) }
    }

    #[inline(always)]
    fn chunk<'o>(&'o mut self, at: usize, inputs: Inputs<'o>) -> Self::Chunk<'o> {
        (self.values.chunk(at, inputs), self.valid.bits(at))
    }

    #[inline(always)]
    fn skip((chunk, valid): &mut Self::Chunk<'_>, row: usize) {
        // A rejected record counts as valid, so that it does not cost a bitmap.
        true.put(valid, row);
        O::skip(chunk, row);
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

    fn finish(self, rows: usize, children: &mut Vec<Field>) -> Field {
        let values = self.values.finish(rows, children).values;
        // The input's column comes with its own validity.
        let validity = match values {
            Values::Same(_) => None,
            _ => Some(self.valid.into_bytes(rows)),
        };
        let all = |bitmap: &Vec<u8>| bitmap.iter().map(|byte| byte.count_ones() as usize).sum::<usize>() == rows;
        Field { values, validity: validity.filter(|bitmap| !all(bitmap)) }
    }
}

impl<T: IntoField<Out: Absent>> IntoField for Option<T> {
    const DATA_TYPE: DataType = T::DATA_TYPE;
    const NULLABLE: bool = once(T::NULLABLE);
    type Out = NullableOut<T::Out>;

    #[inline(always)]
    fn put(self, (chunk, valid): &mut <Self::Out as FieldOut>::Chunk<'_>, row: usize) {
        self.is_some().put(valid, row);
        match self {
            Some(value) => value.put(chunk, row),
            None => T::Out::absent(chunk, row),
        }
    }
}

/// A column that a nullable field can have.
pub trait Absent: FieldOut {
    /// Leaves a row of a chunk without a value, because the record has none.
    #[inline(always)]
    fn absent(_: &mut Self::Chunk<'_>, _: usize) {}
}

impl<N: Number> Absent for NumbersOut<N> {}

impl Absent for BitsOut {}
