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
//! | `config` | JSON Schema of the `config` table; absent if the operator does not describe it |
//!
//! The attribute macros write the description at compile time. The component contains only the text, and no
//! code for it.

mod describe;
mod render;
mod schema;

pub use describe::Describe;
pub use render::{Text, render, text};
pub use schema::{Description, Field, Object, Schema};
