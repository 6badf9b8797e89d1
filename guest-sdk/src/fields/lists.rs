//! Lists: reading them from a column, and writing them to one.

use std::borrow::Cow;

use super::columns::{ColumnOf, misread};
use super::nullable::Absent;
use super::numbers::Number;
use super::{
    CHUNK, DataType, Date, Decimal, Field, FieldOut, FieldType, FromField, Inputs, IntoField, Timestamp, Values,
};

/// A list of a record, which borrows from the batch: nothing is copied.
///
/// `&[f64]` is the same for a list of numbers without null, and `Vec<T>` is an own copy of the elements.
pub struct List<'a, T: FromField<'a>> {
    elements: T::Column,
    start: usize,
    end: usize,
}

impl<'a, T: FromField<'a, Column: Copy>> List<'a, T> {
    /// Number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.end - self.start
    }

    /// Whether there is no element.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Returns element `at`, if there is one.
    #[must_use]
    pub fn get(&self, at: usize) -> Option<T> {
        (at < self.len()).then(|| T::get(&self.elements, self.start + at))
    }

    /// Iterates over the elements in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = T> + use<'a, T> {
        let elements = self.elements;
        (self.start..self.end).map(move |at| T::get(&elements, at))
    }
}

impl<'a, T: FromField<'a, Column: Copy>> Clone for List<'a, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<'a, T: FromField<'a, Column: Copy>> Copy for List<'a, T> {}

impl<'a, T: FromField<'a, Column: Copy> + std::fmt::Debug> std::fmt::Debug for List<'a, T> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_list().entries(self.iter()).finish()
    }
}

/// A column of lists.
#[derive(Debug, Clone, Copy)]
pub struct Lists<'a, C> {
    offsets: &'a [u32],
    elements: C,
}

impl<'a, C> Lists<'a, C> {
    fn of<T: FromField<'a, Column = C>>(from: ColumnOf<'a>) -> Self {
        match &from.field().values {
            Values::Lists((offsets, child)) if offsets.len() == from.rows() + 1 => {
                let elements = offsets.last().map_or(0, |&end| end as usize);
                Self { offsets, elements: T::column(from.child(*child, elements)) }
            }
            _ => misread("a column", "a list for each row"),
        }
    }

    /// The places of the first element of a row and of the one behind its last.
    #[inline(always)]
    fn range(&self, row: usize) -> (usize, usize) {
        let place = |row: usize| self.offsets.get(row).copied().unwrap_or_default() as usize;
        (place(row), place(row + 1).max(place(row)))
    }
}

/// A type that can be the element of a list in a `Vec` or a slice: each type of a field but `u8`, because `Vec<u8>` and
/// `&[u8]` are bytes. A list of `u8` is a [`List`].
#[diagnostic::on_unimplemented(
    message = "the elements of a list cannot be `{Self}`",
    label = "not a number, text or bytes",
    note = "lists and structs are one level deep: the elements of a list are neither lists nor records",
    note = "for deeper values, write `&str` with `#[record(json)]`, the text of the JSON value; a list of `u8` is `List<u8>`"
)]
pub trait ListElement {}

macro_rules! elements {
    ($($(#[$generics:tt])* [$($parameters:tt)*] $value:ty),* $(,)?) => {
        $(impl<$($parameters)*> ListElement for $value {})*
    };
}

elements!(
    [] bool, [] i8, [] i16, [] i32, [] i64, [] u16, [] u32, [] u64, [] f32, [] f64, [] Timestamp, [] Date, [] String,
    [] &str, [] Cow<'_, str>, [] &[u8], [] Vec<u8>, [const P: u8, const S: u8] Decimal<P, S>, [T] Option<T>
);

/// The type of a list's elements, as a field without a name.
struct ElementOf<T>(T);

impl<T> ElementOf<T> {
    const fn checked(data_type: DataType) -> DataType {
        assert!(
            !data_type.is_nested(),
            "the elements of a list are neither lists nor structs: write `&str` with #[record(json)]"
        );
        data_type
    }
}

impl<'a, T: FromField<'a>> ElementOf<T> {
    const READ: &'static FieldType =
        &FieldType { name: "", data_type: Self::checked(T::DATA_TYPE), nullable: T::NULLABLE, docs: "" };
}

impl<T: IntoField> ElementOf<T> {
    const WRITTEN: &'static FieldType =
        &FieldType { name: "", data_type: Self::checked(T::DATA_TYPE), nullable: T::NULLABLE, docs: "" };
}

/// A value that is read from a row of a column of lists.
macro_rules! read {
    ([$($parameters:tt)*] $value:ty, $element:ty, $read:expr) => {
        impl<'a, $($parameters)*> FromField<'a> for $value {
            const DATA_TYPE: DataType = DataType::List(ElementOf::<$element>::READ);
            type Column = Lists<'a, <$element as FromField<'a>>::Column>;
            type Chunk = (Self::Column, usize);

            fn column(from: ColumnOf<'a>) -> Self::Column {
                Lists::of::<$element>(from)
            }

            #[inline(always)]
            fn chunk(column: &Self::Column, at: usize) -> Self::Chunk {
                (*column, at * CHUNK)
            }

            #[inline(always)]
            fn in_chunk<const WHOLE: bool>((column, first): &Self::Chunk, row: usize) -> Self {
                <Self as FromField<'a>>::get(column, first + row)
            }

            #[inline(always)]
            fn get(column: &Self::Column, row: usize) -> Self {
                let (start, end) = column.range(row);
                $read(column.elements, start, end)
            }
        }
    };
}

read!([T: FromField<'a, Column: Copy>] List<'a, T>, T, |elements, start, end| List { elements, start, end });
read!([T: ListElement + FromField<'a, Column: Copy>] Vec<T>, T, |elements, start, end| {
    (start..end).map(|at| T::get(&elements, at)).collect()
});
read!([N: ListElement + Number + FromField<'a, Column = &'a [N]>] &'a [N], N, |elements: &'a [N], start, end| {
    elements.get(start..end).unwrap_or_default()
});

/// A column of lists of an answer.
#[derive(Debug)]
pub struct ListOut<O> {
    offsets: Vec<u32>,
    elements: O,
    count: usize,
}

impl<O: FieldOut> ListOut<O> {
    #[inline(always)]
    fn push<T: IntoField<Out = O>>(&mut self, element: T) {
        let at = self.count;
        if at.is_multiple_of(CHUNK) {
            self.elements.grow(at + CHUNK);
        }
        // No input: an element has no input row of its own.
        element.put(&mut self.elements.chunk(at / CHUNK, Inputs::NONE), at % CHUNK);
        self.count += 1;
    }

    /// Ends the list of a row.
    fn seal(&mut self) {
        self.offsets.push(self.count as u32);
    }
}

impl<O: FieldOut> FieldOut for ListOut<O> {
    type Chunk<'o>
        = &'o mut Self
    where
        O: 'o;
    type Turn<'o>
        = &'o mut Self
    where
        O: 'o;

    fn begin(field: &'static FieldType, _: usize) -> Self {
        match field.data_type {
            DataType::List(element) => Self { offsets: vec![0], elements: O::begin(element, 0), count: 0 },
            _ => misread("an answer", "the type of a list"),
        }
    }

    #[inline(always)]
    fn chunk<'o>(&'o mut self, _: usize, _: Inputs<'o>) -> &'o mut Self {
        self
    }

    fn skip(chunk: &mut &mut Self, _: usize) {
        chunk.seal();
    }

    #[inline(always)]
    fn turn<'o>(&'o mut self, _: Inputs<'o>) -> &'o mut Self {
        self
    }

    #[inline(always)]
    fn next_turn(_: &mut &mut Self, _: usize) {}

    fn skip_in_turn(turn: &mut &mut Self, _: usize) {
        turn.seal();
    }

    #[inline(always)]
    fn end(_: &mut &mut Self) {}

    fn grow(&mut self, _: usize) {}

    fn truncate(&mut self, rows: usize) {
        self.offsets.truncate(rows + 1);
        self.count = self.offsets.last().map_or(0, |&end| end as usize);
        self.elements.truncate(self.count);
    }

    fn bytes(&self) -> usize {
        self.elements.bytes() + size_of::<u64>() * self.count
    }

    fn finish(self, _: usize, _: Inputs<'_>, children: &mut Vec<Field>) -> Field {
        let elements = self.elements.finish(self.count, Inputs::NONE, children);
        let child = children.len() as u32;
        children.push(elements);
        Field { values: Values::Lists((self.offsets, child)), validity: None }
    }
}

impl<O: FieldOut> Absent for ListOut<O> {
    #[inline(always)]
    fn absent(chunk: &mut &mut Self, _: usize) {
        chunk.seal();
    }

    #[inline(always)]
    fn absent_in_turn(turn: &mut &mut Self, _: usize) {
        turn.seal();
    }
}

/// A value that is written to a row of a column of lists.
macro_rules! write {
    ([$($parameters:tt)*] $value:ty, $element:ty, $list:ident => $elements:expr) => {
        impl<$($parameters)*> IntoField for $value {
            const DATA_TYPE: DataType = DataType::List(ElementOf::<$element>::WRITTEN);
            type Out = ListOut<<$element as IntoField>::Out>;

            #[inline(always)]
            fn put(self, out: &mut &mut Self::Out, _: usize) {
                let $list = self;
                for element in $elements {
                    out.push(element);
                }
                out.seal();
            }

            #[inline(always)]
            fn keep<'o>(self, out: &mut &'o mut Self::Out, row: usize)
            where
                Self: 'o,
            {
                self.put(out, row);
            }
        }
    };
}

write!(['a, T: FromField<'a, Column: Copy> + IntoField] List<'a, T>, T, list => list.iter());
write!([T: ListElement + IntoField] Vec<T>, T, list => list);
write!([T: ListElement + IntoField + Copy] &[T], T, list => list.iter().copied());
