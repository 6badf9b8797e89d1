//! Drive an operator natively, batch by batch, as a host would: the same lane, a host in memory.
//!
//! A function under an attribute stays a function, and most tests just call it. What only shows at the boundary, such as rejected
//! records, configuration, keyed state, side outputs, `end`, a restart, shows here. There is one type a kind; it is opened with the
//! operator, named by its struct or by its function:
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
//! An operator that runs models is opened with doubles of them, see [`Model`].

mod lane;
mod model;
mod outcome;
mod record;

pub use lane::{Filter, FlatMap, KeyBy, Lane, Map, Process, Sink, Source};
pub use model::{Answer, Model};
pub use outcome::{Failure, Outcome, Output};
pub use record::Record;

/// What an operator says of itself, as the host reads it: see [`description`](crate::description).
#[must_use]
pub fn description<O: crate::operator::Described>() -> serde_json::Value {
    serde_json::from_str(&crate::description::text(&O::DESCRIPTION)).unwrap_or_default()
}
