//! Text and bytes of an answer. While each row repeats the entry of one input column, nothing is copied, and the answer
//! names that column. Pointer and length tell: the input lives during the whole call, so equal places are equal bytes.
//! A map from text and number to the same text and a number took 4.9 ns a record instead of 9.5 ns.

use std::borrow::Cow;

use super::bits::bit;
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
    /// Whether a row before the first text has no value. The other rows before it are rejected.
    nulls: bool,
    /// The input column that all rows so far repeat; `None` as soon as one row does not.
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
    /// The column that the rows so far repeat.
    like: Option<Texts<'o>>,
}

/// A column of texts of the input.
#[derive(Debug, Clone, Copy)]
struct Texts<'o> {
    column: &'o Column,
    /// The bitmap of the rows that have a value.
    validity: Option<&'o [u8]>,
}

impl<'o> Texts<'o> {
    /// Returns the column of an input field, if it is of texts.
    fn of(inputs: Inputs<'o>, at: usize) -> Option<Self> {
        let field = inputs.fields.get(at)?;
        match &field.values {
            Values::Strings(column) => Some(Self { column, validity: field.validity.as_deref() }),
            _ => None,
        }
    }

    #[inline(always)]
    fn present(&self, row: usize) -> bool {
        self.validity.is_none_or(|bitmap| bit(bitmap, row))
    }

    /// Returns whether the entry of a row lies at the same place as `text`.
    #[inline(always)]
    fn lies_at(&self, row: usize, text: &[u8]) -> bool {
        let place = |row: usize| self.column.offsets.get(row).copied().unwrap_or_default() as usize;
        let (start, end) = (place(row), place(row + 1));
        std::ptr::eq(self.column.bytes.as_ptr().wrapping_add(start), text.as_ptr())
            && end.wrapping_sub(start) == text.len()
    }

    /// Returns whether the row has this text, at the same place, or neither has one.
    #[inline(always)]
    fn repeats(&self, row: usize, text: Option<&[u8]>) -> bool {
        match text {
            Some(text) => self.present(row) && self.lies_at(row, text),
            None => !self.present(row),
        }
    }
}

impl NextTexts<'_> {
    /// Writes a row: an entry, or none.
    #[inline(always)]
    fn write(&mut self, row: usize, text: Option<&[u8]>) {
        let row = self.first + row;
        if !self.like.is_some_and(|like| like.repeats(row, text)) {
            self.differ(row, text);
        }
    }

    /// Writes a row that does not repeat the column, or the first text.
    #[inline(never)]
    fn differ(&mut self, row: usize, text: Option<&[u8]>) {
        match text {
            Some(text) if !self.out.begun => {
                self.out.begun = true;
                self.out.same = self.find(row, text);
                self.like = self.out.same.and_then(|at| Texts::of(self.inputs, at));
                if self.like.is_some() {
                    return;
                }
                self.out.fill(row);
            }
            None if !self.out.begun => {
                self.out.nulls = true;
                return;
            }
            _ => {}
        }
        if let Some(Texts { column, .. }) = self.like.take() {
            // Everything before this row was repeated.
            self.out.same = None;
            for entry in column.iter().take(row) {
                self.out.column.push(entry);
            }
        }
        append_in_place(&mut self.out.column.bytes, text.unwrap_or_default());
        self.out.column.seal();
    }

    /// Returns the input field whose row this text is, and which the answer may name instead of its own column.
    fn find(&self, row: usize, text: &[u8]) -> Option<usize> {
        let TextOut { field: wanted, nulls, .. } = *self.out;
        self.inputs.types.iter().enumerate().position(|(at, input)| {
            let Some(texts) = Texts::of(self.inputs, at) else { return false };
            input.data_type == wanted.data_type
                && (texts.validity.is_none() || wanted.nullable)
                && !(nulls && (0..row).any(|row| texts.present(row)))
                && texts.repeats(row, Some(text))
        })
    }
}

impl TextOut {
    /// Writes empty entries for the rows before the first text.
    fn fill(&mut self, rows: usize) {
        self.column.offsets.resize(rows + 1, 0);
    }
}

impl FieldOut for TextOut {
    type Chunk<'o> = NextTexts<'o>;

    fn begin(field: &'static FieldType, _: usize) -> Self {
        Self { field, begun: false, nulls: false, same: None, column: Column::new() }
    }

    #[inline(always)]
    fn chunk<'o>(&'o mut self, at: usize, inputs: Inputs<'o>) -> NextTexts<'o> {
        let like = self.same.and_then(|field| Texts::of(inputs, field));
        NextTexts { out: self, inputs, first: at * CHUNK, like }
    }

    #[inline(always)]
    fn skip(chunk: &mut NextTexts<'_>, row: usize) {
        // The host ignores the row, so it may as well repeat the column.
        if chunk.like.is_none() && chunk.out.begun {
            chunk.write(row, Some(&[]));
        }
    }

    fn grow(&mut self, _: usize) {}

    fn truncate(&mut self, rows: usize) {
        if self.begun && self.same.is_none() {
            self.column.truncate(rows);
        }
    }

    fn bytes(&self) -> usize {
        self.column.bytes.len()
    }

    fn finish(mut self, rows: usize, _: &mut Vec<Field>) -> Field {
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
    fn absent(chunk: &mut NextTexts<'_>, row: usize) {
        chunk.write(row, None);
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
                chunk.write(row, Some(self.$bytes()));
            }
        }
    )*};
}

entries! {
    &str: Text, as_bytes;
    String: Text, as_bytes;
    Cow<'_, str>: Text, as_bytes;
    &[u8]: Bytes, as_ref;
    Vec<u8>: Bytes, as_slice;
}
