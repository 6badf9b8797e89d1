//! What an operator says of itself, for the host to read before anything runs: a section of the component named
//! `sage:description` that holds JSON.
//!
//! ```json
//! {"version": 1, "docs": "Keeps what is hot.", "state": "none", "config": {"type": "object", "properties": {}}}
//! ```
//!
//! | key | value |
//! |---|---|
//! | `version` | 1; a reader ignores keys that it does not know, and refuses a version that it does not know |
//! | `docs` | the operator's documentation comment |
//! | `state` | `"keyed"`, or `"none"` for an operator that keeps no keyed state |
//! | `config` | JSON Schema of the `config` table; absent where it is not described |
//!
//! The attribute macros write it. Everything is computed at compile time: a component has the text, and no code for it.

mod describe;
mod render;
mod schema;

pub use describe::Describe;
pub use render::{Text, render, text};
pub use schema::{Description, Field, Object, Schema};
