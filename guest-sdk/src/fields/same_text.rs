//! Text and bytes of an answer. While each row repeats the entry of one input column, nothing is copied, and the answer
//! names that column. Pointer and length tell: the input lives during the whole call, so equal places are equal bytes.
//!
//! The test of a row is a few instructions on values that stay in registers: [`NextTexts`] is never lent to a function
//! that is not inlined, only its parts are. A map from text and number to the same text and a number took 4.9 ns a
//! record in place of 6.5.

use std::borrow::Cow;

use super::bits::bit;
use super::lent_text::Lent;
use super::nullable::Absent;
use super::{CHUNK, DataType, Field, FieldOut, FieldType, Inputs, IntoField, Values};
use crate::bytes::append_in_place;
use crate::types::Column;

/// A column of texts of an answer.
#[derive(Debug)]
pub struct TextOut {
    field: &'static FieldType,
    /// Whether the first text was written: it decides which column the rows repeat.
    begun: bool,
    /// The input column that all texts so far repeat; `None` as soon as one does not. Rows without a text are compared
    /// when the column is finished.
    same: Option<usize>,
    /// The rows, unless all of them repeat a column.
    column: Column,
}

/// 32 rows of a column, of which the next is written.
#[derive(Debug)]
pub struct NextTexts<'o> {
    out: &'o mut TextOut,
    inputs: Inputs<'o>,
    /// Index of the first of the rows.
    first: usize,
    /// Where the texts lie that the rows so far repeat.
    like: Option<Places<'o>>,
}

/// Places of the 32 texts of a chunk of an input column. Without it, a row is compared in [`TextOut::write`].
#[derive(Debug, Clone, Copy)]
struct Places<'o> {
    bytes: *const u8,
    offsets: &'o [u32; CHUNK + 1],
}

impl<'o> Places<'o> {
    /// Returns the places of the chunk that begins with row `first`, if the column has all of its rows.
    fn of(column: &'o Column, first: usize) -> Option<Self> {
        let offsets = column.offsets.get(first..)?.first_chunk()?;
        Some(Self { bytes: column.bytes.as_ptr(), offsets })
    }

    #[inline(always)]
    fn has(self, row: usize, text: &[u8]) -> bool {
        let place = |row: usize| self.offsets.get(row).copied().unwrap_or_default() as usize;
        lies_at(self.bytes, place(row), place(row + 1), text)
    }
}

/// Returns whether `text` is the entry from `start` to `end` of a column with these bytes.
#[inline(always)]
fn lies_at(bytes: *const u8, start: usize, end: usize, text: &[u8]) -> bool {
    std::ptr::eq(bytes.wrapping_add(start), text.as_ptr()) & (end.wrapping_sub(start) == text.len())
}

/// Returns whether `text` is entry `row` of a column, at the same place.
fn repeats(column: &Column, row: usize, text: &[u8]) -> bool {
    match column.offsets.get(row..).and_then(|offsets| offsets.first_chunk()) {
        Some([start, end]) => lies_at(column.bytes.as_ptr(), *start as usize, *end as usize, text),
        None => false,
    }
}

/// Returns the column of an input field, if it is of texts.
fn texts(inputs: Inputs<'_>, at: usize) -> Option<&Column> {
    match &inputs.fields.get(at)?.values {
        Values::Strings(column) => Some(column),
        _ => None,
    }
}

/// Returns whether rows with this validity have a value where those of an input field have one. A rejected row may have
/// either.
fn is_validity_of(inputs: Inputs<'_>, at: usize, validity: Option<&[u8]>, rows: usize) -> bool {
    let wanted = inputs.fields.get(at).and_then(|field| field.validity.as_deref());
    let valid = |bitmap: Option<&[u8]>, row| bitmap.is_none_or(|bitmap| bit(bitmap, row));
    wanted == validity
        || !inputs.rejected.is_empty()
            && (0..rows).all(|row| {
                valid(wanted, row) == valid(validity, row) || inputs.rejected.binary_search(&(row as u32)).is_ok()
            })
}

impl NextTexts<'_> {
    /// Goes on with row `32 * at`.
    #[inline(always)]
    pub(super) fn begin(&mut self, at: usize) {
        self.first = at * CHUNK;
        let column = self.out.same.and_then(|field| texts(self.inputs, field));
        self.like = column.and_then(|column| Places::of(column, self.first));
    }

    #[inline(always)]
    pub(super) fn write(&mut self, row: usize, text: &[u8]) {
        if !self.like.is_some_and(|like| like.has(row, text)) {
            self.like = self.out.write(self.inputs, self.first + row, text);
        }
    }
}

impl NextTexts<'_> {
    /// Returns whether 32 texts repeat the column that all rows before them repeat. A row without a text is no
    /// difference.
    #[inline(always)]
    pub(super) fn repeat(&self, texts: &Lent<'_>) -> bool {
        let Some(Places { bytes, offsets }) = self.like else { return false };
        let (mut differs, mut end) = (false, offsets[0] as usize);
        for ((&at, &length), &next) in texts.starts.iter().zip(&texts.lengths).zip(&offsets[1..]) {
            let start = std::mem::replace(&mut end, next as usize);
            // Without a branch, so that the compiler uses SIMD.
            let moved = !std::ptr::eq(bytes.wrapping_add(start), at) | (end.wrapping_sub(start) != length);
            differs |= !at.is_null() & moved;
        }
        !differs
    }

    /// Writes 32 rows.
    #[inline(never)]
    pub(super) fn write_all(&mut self, texts: &Lent<'_>) {
        for (row, text) in texts.iter().enumerate() {
            match text {
                Some(text) => self.write(row, text),
                None => TextOut::absent(self, row),
            }
        }
    }
}

impl TextOut {
    /// Writes a text of which `like` does not tell that it repeats the column. Returns the `like` of the next rows.
    #[inline(never)]
    fn write<'o>(&mut self, inputs: Inputs<'o>, row: usize, text: &[u8]) -> Option<Places<'o>> {
        if !self.begun {
            self.begun = true;
            self.same = self.find(inputs, row, text);
            if self.same.is_none() {
                self.fill(row);
            }
        }
        if let Some(column) = self.same.and_then(|at| texts(inputs, at)) {
            if repeats(column, row, text) {
                return Places::of(column, row - row % CHUNK);
            }
            self.copy(column, row);
        }
        append_in_place(&mut self.column.bytes, text);
        self.column.seal();
        None
    }

    /// Returns the input field whose row this text is, and which the answer may name instead of its own column.
    fn find(&self, inputs: Inputs<'_>, row: usize, text: &[u8]) -> Option<usize> {
        let wanted = self.field;
        inputs.types.iter().zip(inputs.fields).position(|(input, field)| {
            input.data_type == wanted.data_type
                && (field.validity.is_none() || wanted.nullable)
                && matches!(&field.values, Values::Strings(column) if repeats(column, row, text))
        })
    }

    /// Copies the first rows of the column that they repeat. The rows without a text get some text, which is ignored.
    #[cold]
    fn copy(&mut self, column: &Column, rows: usize) {
        self.same = None;
        let offsets = column.offsets.get(..=rows).unwrap_or_default();
        let end = offsets.last().map_or(0, |end| *end as usize);
        self.column.offsets.clear();
        self.column.offsets.extend_from_slice(offsets);
        self.column.bytes.extend_from_slice(column.bytes.get(..end).unwrap_or_default());
    }

    /// Writes empty entries for the rows before the first text.
    fn fill(&mut self, rows: usize) {
        self.column.offsets.resize(rows + 1, 0);
    }
}

impl FieldOut for TextOut {
    type Chunk<'o> = NextTexts<'o>;
    type Turn<'o> = NextTexts<'o>;

    fn begin(field: &'static FieldType, _: usize) -> Self {
        Self { field, begun: false, same: None, column: Column::new() }
    }

    #[inline(always)]
    fn chunk<'o>(&'o mut self, at: usize, inputs: Inputs<'o>) -> NextTexts<'o> {
        let mut next = NextTexts { out: self, inputs, first: 0, like: None };
        next.begin(at);
        next
    }

    #[inline(always)]
    fn skip(chunk: &mut NextTexts<'_>, row: usize) {
        // The host ignores the row, so it may as well repeat the column.
        Self::absent(chunk, row);
    }

    #[inline(always)]
    fn turn<'o>(&'o mut self, inputs: Inputs<'o>) -> NextTexts<'o> {
        self.chunk(0, inputs)
    }

    #[inline(always)]
    fn next_turn(turn: &mut NextTexts<'_>, at: usize) {
        turn.begin(at);
    }

    #[inline(always)]
    fn skip_in_turn(turn: &mut NextTexts<'_>, row: usize) {
        Self::absent(turn, row);
    }

    #[inline(always)]
    fn end(_: &mut NextTexts<'_>) {}

    fn grow(&mut self, _: usize) {}

    fn truncate(&mut self, rows: usize) {
        if self.begun && self.same.is_none() {
            self.column.truncate(rows);
        }
    }

    fn bytes(&self) -> usize {
        self.column.bytes.len()
    }

    fn finish(mut self, rows: usize, _: Inputs<'_>, _: &mut Vec<Field>) -> Field {
        if !self.begun {
            self.fill(rows);
        }
        let values = match self.same {
            Some(at) => Values::Same(at as u32),
            None => Values::Strings(self.column),
        };
        Field { values, validity: None }
    }
}

impl Absent for TextOut {
    #[inline(always)]
    fn absent(chunk: &mut NextTexts<'_>, _: usize) {
        if chunk.like.is_none() && chunk.out.begun && chunk.out.same.is_none() {
            chunk.out.column.seal();
        }
    }

    #[inline(always)]
    fn absent_in_turn(turn: &mut NextTexts<'_>, row: usize) {
        Self::absent(turn, row);
    }

    fn settle(&mut self, rows: usize, inputs: Inputs<'_>, validity: Option<&[u8]>) {
        let Some(at) = self.same else { return };
        if !is_validity_of(inputs, at, validity, rows)
            && let Some(column) = texts(inputs, at)
        {
            self.copy(column, rows);
        }
    }
}

/// Values that are written as an entry of a column.
macro_rules! entries {
    ($($value:ty: $data_type:ident, $bytes:ident);* $(;)?) => {$(
        impl IntoField for $value {
            const DATA_TYPE: DataType = DataType::$data_type;
            type Out = TextOut;

            #[inline(always)]
            fn put(self, chunk: &mut NextTexts<'_>, row: usize) {
                chunk.write(row, self.$bytes());
            }

            #[inline(always)]
            fn keep<'o>(self, turn: &mut NextTexts<'o>, row: usize)
            where
                Self: 'o,
            {
                turn.write(row, self.$bytes());
            }
        }
    )*};
}

entries! {
    String: Text, as_bytes;
    Cow<'_, str>: Text, as_bytes;
    Vec<u8>: Bytes, as_slice;
}
