//! Fields of records in text: JSON lines and CSV.
//!
//! A reader takes the text of one record and appends a row to a [`Table`](sage_batch::fields::Table), or leaves the
//! table as it was and says why ([`FieldError`]). A writer prints a row. Both follow one schema. The key of a record is
//! made from its fields in the same words ([`key`]). Splitting a stream into records, and CSV lines into cells, is the
//! work of the caller: nothing here does I/O.
//!
//! Invariants:
//!
//! - A record is read exactly or refused: no integer is rounded, no number becomes infinite, no null is made up.
//! - The reader of a format reads the rows that its writer prints as the same values. Exceptions in CSV: `NaN` and
//!   `inf` are refused, and a row of one null is read as the empty text.
//! - A text of type `json` is printed in one line, so its line ends become spaces.
//! - No record, however nested, makes a reader recurse. The elements of a list and the members of a struct are read
//!   one level deeper, and no further.

pub mod csv;
mod error;
pub mod infer;
pub mod json;
pub mod key;
mod number;
mod output_field;
mod put;
#[cfg(test)]
mod round_trip_tests;
mod scan;
mod seen;
#[cfg(test)]
mod test_schema;
mod time;

pub use error::{FieldError, Place, Reason};
pub use output_field::OutputField;
