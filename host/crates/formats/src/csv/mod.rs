//! Records as rows of CSV.
//!
//! The caller splits a row into cells. Cells have the forms of JSON ([`crate::json`]) without the quotes around texts;
//! there is no space around numbers and truth values. An empty cell is null where the field is nullable, otherwise the
//! empty text where the field is a string. An empty cell in quotes is the empty text of a string. The cell of a list or
//! a struct is its JSON text.

mod read;
#[cfg(test)]
mod tests;
mod write;

pub use read::CsvCells;
pub use write::{CsvForm, CsvWriter, write_csv_header};
