//! Texts of an answer that live as long as the call, as those that are passed on do: 32 of them are compared with a
//! column of the input at once, with SIMD.

use std::marker::PhantomData;

use super::nullable::Absent;
use super::same_text::NextTexts;
use super::{CHUNK, DataType, Field, FieldOut, FieldType, Inputs, IntoField, TextOut};

/// A column of texts of an answer that borrow.
#[derive(Debug)]
pub struct LentTextOut(TextOut);

/// 32 texts that are written together.
#[derive(Debug)]
pub struct LentTexts<'o> {
    texts: Lent<'o>,
    next: NextTexts<'o>,
}

/// 32 texts as pointers and lengths, in an array each: the compiler uses SIMD for neither texts side by side nor a
/// check of an `Option` in each row. A row without a text has a null pointer.
#[derive(Debug)]
pub(super) struct Lent<'o> {
    pub(super) starts: [*const u8; CHUNK],
    pub(super) lengths: [usize; CHUNK],
    texts: PhantomData<&'o [u8]>,
}

impl<'o> Lent<'o> {
    #[inline(always)]
    fn new() -> Self {
        Self { starts: [std::ptr::null(); CHUNK], lengths: [0; CHUNK], texts: PhantomData }
    }

    #[inline(always)]
    fn set(&mut self, row: usize, text: Option<&'o [u8]>) {
        if let (Some(start), Some(length)) = (self.starts.get_mut(row), self.lengths.get_mut(row)) {
            *start = text.map_or(std::ptr::null(), <[u8]>::as_ptr);
            *length = text.map_or(0, <[u8]>::len);
        }
    }

    /// Iterates over the rows.
    pub(super) fn iter(&self) -> impl Iterator<Item = Option<&'o [u8]>> {
        self.starts.iter().zip(&self.lengths).map(|(&start, &length)| {
            // SAFETY: `set` has written both of a row from one text, which is borrowed for `'o`. Safe code has to keep
            // the texts themselves, side by side, and a map took 1.5 ns a record more.
            (!start.is_null()).then(|| unsafe { std::slice::from_raw_parts(start, length) })
        })
    }
}

impl FieldOut for LentTextOut {
    type Chunk<'o> = NextTexts<'o>;
    type Turn<'o> = LentTexts<'o>;

    fn begin(field: &'static FieldType, rows: usize) -> Self {
        Self(TextOut::begin(field, rows))
    }

    #[inline(always)]
    fn chunk<'o>(&'o mut self, at: usize, inputs: Inputs<'o>) -> NextTexts<'o> {
        self.0.chunk(at, inputs)
    }

    #[inline(always)]
    fn skip(chunk: &mut NextTexts<'_>, row: usize) {
        TextOut::skip(chunk, row);
    }

    #[inline(always)]
    fn turn<'o>(&'o mut self, inputs: Inputs<'o>) -> LentTexts<'o> {
        LentTexts { texts: Lent::new(), next: self.0.chunk(0, inputs) }
    }

    #[inline(always)]
    fn next_turn(turn: &mut LentTexts<'_>, at: usize) {
        turn.next.begin(at);
    }

    #[inline(always)]
    fn skip_in_turn(turn: &mut LentTexts<'_>, row: usize) {
        Self::absent_in_turn(turn, row);
    }

    #[inline(always)]
    fn end(turn: &mut LentTexts<'_>) {
        if !turn.next.repeat(&turn.texts) {
            turn.next.write_all(&turn.texts);
        }
    }

    fn grow(&mut self, rows: usize) {
        self.0.grow(rows);
    }

    fn truncate(&mut self, rows: usize) {
        self.0.truncate(rows);
    }

    fn bytes(&self) -> usize {
        self.0.bytes()
    }

    fn finish(self, rows: usize, inputs: Inputs<'_>, children: &mut Vec<Field>) -> Field {
        self.0.finish(rows, inputs, children)
    }
}

impl Absent for LentTextOut {
    #[inline(always)]
    fn absent(chunk: &mut NextTexts<'_>, row: usize) {
        TextOut::absent(chunk, row);
    }

    #[inline(always)]
    fn absent_in_turn(turn: &mut LentTexts<'_>, row: usize) {
        turn.texts.set(row, None);
    }

    fn settle(&mut self, rows: usize, inputs: Inputs<'_>, validity: Option<&[u8]>) {
        self.0.settle(rows, inputs, validity);
    }
}

/// Borrowed values that are written as an entry of a column.
macro_rules! entries {
    ($($value:ty: $data_type:ident, $bytes:ident);* $(;)?) => {$(
        impl IntoField for &$value {
            const DATA_TYPE: DataType = DataType::$data_type;
            type Out = LentTextOut;

            #[inline(always)]
            fn put(self, chunk: &mut NextTexts<'_>, row: usize) {
                chunk.write(row, self.$bytes());
            }

            #[inline(always)]
            fn keep<'o>(self, turn: &mut LentTexts<'o>, row: usize)
            where
                Self: 'o,
            {
                turn.texts.set(row, Some(self.$bytes()));
            }

            #[inline(always)]
            fn keep_option<'o>(value: Option<Self>, turn: &mut LentTexts<'o>, row: usize)
            where
                Self: 'o,
            {
                turn.texts.set(row, value.map(|value| value.$bytes()));
            }
        }
    )*};
}

entries! {
    str: Text, as_bytes;
    [u8]: Bytes, as_ref;
}
