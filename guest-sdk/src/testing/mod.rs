//! Run an operator natively, batch by batch, as a host does: with the same lane and an in-memory host.
//!
//! A function with an attribute stays a function, and most tests simply call it. This module tests behaviour
//! that shows only at the boundary to the host: rejected records, configuration, keyed state, side outputs,
//! `end` and restarts. There is one type for each kind. Its parameter is the operator: the name of the struct,
//! or of the function.
//!
//! ```
//! use sage_guest::testing;
//!
//! #[sage_guest::map]
//! fn double(number: u64) -> u64 {
//!     number * 2
//! }
//!
//! assert_eq!(double(4), 8);
//!
//! let mut lane = testing::Map::<double>::open(serde_json::json!({}))?;
//! let outcome = lane.run(["1", "one", "21"]);
//! assert_eq!(outcome.texts(), ["2", "42"]);
//! assert_eq!(outcome.failures[0].record, 1);
//! # Ok::<(), String>(())
//! ```
//!
//! An operator that takes records by field has a lane of its own, [`FieldsMap`], [`FieldsFilter`],
//! [`FieldsFlatMap`], [`FieldsKeyBy`], [`FieldsProcess`], [`FieldsSource`] or [`FieldsSink`]. Records are JSON texts
//! (`run`), for a process and a sink also a [`Record`] around such a text, or values of the operator's own type
//! (`run_records`).
//!
//! ```
//! use sage_guest::{Record, testing};
//!
//! #[derive(Record)]
//! struct Reading { celsius: f64 }
//!
//! #[sage_guest::filter]
//! fn hot(reading: Reading) -> bool {
//!     reading.celsius > 30.0
//! }
//!
//! let mut lane = testing::FieldsFilter::<hot>::open(serde_json::json!({}))?;
//! let outcome = lane.run([r#"{"celsius":31.5,"sensor":"roof"}"#, r#"{"sensor":"cellar"}"#]);
//! assert_eq!(outcome.texts(), [r#"{"celsius":31.5,"sensor":"roof"}"#]);
//! assert_eq!(outcome.messages(), [r#"field "celsius" is missing"#]);
//! assert_eq!(lane.run_records([Reading { celsius: 12.0 }]).texts(), [""; 0]);
//! # Ok::<(), String>(())
//! ```
//!
//! To open an operator that runs models, give it test doubles of the models: see [`Model`].

mod base64;
mod columns;
mod fields;
mod fields_rows;
mod instants;
mod json;
mod lane;
mod model;
mod outcome;
mod record;
mod window;
mod windows;

pub use fields::{FieldsFilter, FieldsFlatMap, FieldsKeyBy, FieldsMap};
pub use fields_rows::{FieldsProcess, FieldsSink, FieldsSource};
pub use lane::{Filter, FlatMap, KeyBy, Lane, Map, Process, Sink, Source};
pub use model::{Answer, Model};
pub use outcome::{Failure, Outcome, Output};
pub use record::Record;
pub use window::{FieldsWindow, Fold, Window, WindowCalls, Windowed};
pub use windows::Windows;

/// Returns the operator's description, as the host reads it: see [`description`](crate::description).
#[must_use]
pub fn description<O: crate::operator::Described>() -> serde_json::Value {
    serde_json::from_str(&crate::description::text(&O::DESCRIPTION)).unwrap_or_default()
}
