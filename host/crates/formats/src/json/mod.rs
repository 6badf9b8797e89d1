//! Records as JSON objects, one to a line.
//!
//! | type | JSON |
//! |---|---|
//! | `bool` | `true`, `false` |
//! | integers | an integer token; `1.0` and `1e3` are refused |
//! | `f32`, `f64` | the nearest number; what would be infinite is refused |
//! | `decimal` | an exact number; digits beyond the scale must be zeros |
//! | `timestamp` | RFC 3339 with a zone; digits beyond the sixth are dropped; printed in UTC |
//! | `date` | `"YYYY-MM-DD"` |
//! | `string` | a string |
//! | `bytes` | a string of base64 with padding |
//! | `json` | any value but `null`, as its text stands; only the grammar is checked |
//! | `list<T>` | an array |
//! | struct | an object; other members are checked for the grammar only |
//!
//! `null` and a missing key are one: a field without a value, or an error if the field is not nullable.

mod keys;
#[cfg(test)]
mod nested_tests;
mod read;
#[cfg(test)]
mod read_tests;
mod reference;
mod unprintable;
mod value;
#[cfg(test)]
mod values_tests;
mod write;
mod write_value;

pub use read::JsonReader;
pub use unprintable::unprintable;
pub use write::JsonWriter;

pub(crate) use reference::{syntax_error, unescape};
pub(crate) use value::Value;
pub(crate) use write_value::{Printer, not_finite, one_value, put_json, put_time};
