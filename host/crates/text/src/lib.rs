//! Text for people: untrusted text made harmless, and lines that fit the width of a terminal.
//!
//! Names of files, messages of guests and error texts of libraries reach a terminal, a log or a JSON document
//! only through [`plain_text`], [`plain_line`] and [`plain_path`], which escape control characters.

mod narrow;
mod plain_text;
mod size;

pub use narrow::{card, width_of, wrapped};
pub use plain_text::{plain_line, plain_path, plain_text};
pub use size::{exact_size, short_size};
