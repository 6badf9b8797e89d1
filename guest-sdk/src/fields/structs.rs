//! Structs: a record as a field of a record. `#[derive(Record)]` reads and writes the members as it does fields.

use super::nullable::Absent;
use super::{Field, FieldOut, FieldType, Inputs, RecordOut, Values};

/// A column of structs of an answer.
#[derive(Debug)]
pub struct StructOut<O> {
    members: O,
}

impl<O: RecordOut> FieldOut for StructOut<O> {
    type Chunk<'o>
        = O::Chunk<'o>
    where
        O: 'o;
    type Turn<'o>
        = O::Turn<'o>
    where
        O: 'o;

    fn begin(_: &'static FieldType, rows: usize) -> Self {
        Self { members: O::begin(rows) }
    }

    #[inline(always)]
    fn chunk<'o>(&'o mut self, at: usize, _: Inputs<'o>) -> O::Chunk<'o> {
        // No input: a member cannot repeat a field of the input.
        self.members.chunk(at, Inputs::NONE)
    }

    #[inline(always)]
    fn skip(chunk: &mut O::Chunk<'_>, row: usize) {
        O::skip(chunk, row);
    }

    #[inline(always)]
    fn turn<'o>(&'o mut self, _: Inputs<'o>) -> O::Turn<'o> {
        self.members.turn(Inputs::NONE)
    }

    #[inline(always)]
    fn next_turn(turn: &mut O::Turn<'_>, at: usize) {
        O::next_turn(turn, at);
    }

    #[inline(always)]
    fn skip_in_turn(turn: &mut O::Turn<'_>, row: usize) {
        O::skip_in_turn(turn, row);
    }

    #[inline(always)]
    fn end(turn: &mut O::Turn<'_>) {
        O::end(turn);
    }

    fn grow(&mut self, rows: usize) {
        self.members.grow(rows);
    }

    fn truncate(&mut self, rows: usize) {
        self.members.truncate(rows);
    }

    fn bytes(&self) -> usize {
        self.members.bytes()
    }

    fn finish(self, rows: usize, _: Inputs<'_>, children: &mut Vec<Field>) -> Field {
        let members = self.members.finish(rows, Inputs::NONE, children);
        let first = children.len() as u32;
        let numbers = (first..).take(members.len()).collect();
        children.extend(members);
        Field { values: Values::Structs(numbers), validity: None }
    }
}

impl<O: RecordOut> Absent for StructOut<O> {
    #[inline(always)]
    fn absent(chunk: &mut O::Chunk<'_>, row: usize) {
        O::skip(chunk, row);
    }

    #[inline(always)]
    fn absent_in_turn(turn: &mut O::Turn<'_>, row: usize) {
        O::skip_in_turn(turn, row);
    }
}
