//! The description of an operator, which the host reads before anything runs. The description is JSON in a
//! section of the component named `sage:description`.
//!
//! ```json
//! {"version": 1, "docs": "Keeps the hot readings.", "state": "none", "config": {"type": "object", "properties": {}}}
//! ```
//!
//! | key | value |
//! |---|---|
//! | `version` | 1; a reader ignores keys that it does not know, and refuses a version that it does not know |
//! | `docs` | the operator's documentation comment |
//! | `state` | `"keyed"`, or `"none"` for an operator that keeps no keyed state |
//! | `reads` | the fields that an operator by field takes: a list of `name`, `type`, `nullable` and `docs` |
//! | `gives` | the fields of its outputs, in the same form; empty for a filter |
//! | `ports` | the fields on the side outputs of a process or source by field: a list of `name`, `gives` and `rest` |
//! | `rest` | `"keep"` if an output also has the other fields of its input, else `"drop"` |
//! | `config` | JSON Schema of the `config` table; absent if the operator does not describe it |
//!
//! The attribute macros write the description at compile time. The component contains only the text, and no
//! code for it.

mod describe;
mod render;
mod schema;

pub use describe::Describe;
pub use render::{Text, render, text};
pub use schema::{Description, Field, Fields, Object, PortFields, Schema};
