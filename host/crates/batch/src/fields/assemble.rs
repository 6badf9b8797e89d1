use std::sync::Arc;

use super::{Schema, Table};

/// The column from which a field of an assembled table comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// A column of the answer, by its number.
    Answer(usize),
    /// A column of the input, by its number.
    Input(usize),
}

impl Table {
    /// Becomes a table of these fields, one for each of `parts`. Columns are moved out of `answer` and `input`, which
    /// have no meaning afterwards; a column that several fields take is copied. Every column must have `rows` rows
    /// and the type of its field.
    pub fn assemble(&mut self, schema: &Arc<Schema>, rows: usize, parts: &[Part], answer: &mut Self, input: &mut Self) {
        debug_assert_eq!(schema.fields().len(), parts.len(), "a part for each field");
        self.reset(schema);
        for (at, part) in parts.iter().enumerate() {
            let source = match part {
                Part::Answer(number) => answer.fields.get_mut(*number),
                Part::Input(number) => input.fields.get_mut(*number),
            };
            let (Some(column), Some(source)) = (self.fields.get_mut(at), source) else { continue };
            if parts.iter().skip(at + 1).any(|later| later == part) {
                column.append_range(source, 0, rows);
            } else {
                std::mem::swap(column, source);
            }
        }
        self.rows = rows;
    }
}
