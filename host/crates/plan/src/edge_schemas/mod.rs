//! Fields on the edges of a pipeline: their names and types, and the fields that a later stage reads.
//!
//! Flow of [`resolve`]:
//!
//! 1. From the sources to the sinks: the fields of each output, as far as schemas and descriptions name them.
//! 2. The fields that each sink writes: those that it chooses, or all that have a name by now.
//! 3. From the sinks to the sources: the fields that are read. Each field is checked where it is given; where
//!    records are text, the fields that are read become the fields to parse.
//! 4. From the sources to the sinks again, now with the fields to parse.
//!
//! Invariants of a plan without errors:
//!
//! - Each field that an operator reads is given on every path to the operator, or is parsed from text.
//! - Each field that an input chooses, or of which it makes a key, is one of the records of its sender; a field of a key
//!   has a type that can be a key.
//! - A field's type widens to the type that its reader names, and is nullable only if the reader takes null.
//!
//! Left to others: parsing and printing, conversion to a wider type, and the records themselves.

mod demand;
mod errors;
mod flow;
mod graph;
mod input;
mod listing;
mod mismatch;
mod output;
mod resolve;
mod schemas;
mod written;

pub(super) use resolve::{Resolved, resolve};
pub use schemas::{EdgeSchema, Projection, Schemas, StageSchemas, WrittenField};
