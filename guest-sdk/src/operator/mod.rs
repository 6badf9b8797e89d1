//! The traits that the attribute macros implement, one for each kind, and the lanes that run whole batches
//! through them.
//!
//! You do not implement these traits yourself: `#[sage_guest::map]` and the other attributes do so, from your
//! function or `impl` block. A *lane* is one copy of an operator behind the functions of the contract. The lane
//! holds the operator between `open` and `close`, iterates over the records of a call, and collects the outputs
//! in buffers that it reuses in later calls. At the end of a call the lane sends its answer to the host. A
//! component and [`testing`](crate::testing) run the same code.
//!
//! Invariants: a rejected record leaves neither output nor state behind. Everything that a call has collected
//! goes to the host before the call returns.

mod failures;
mod fields;
mod fields_rows;
mod filter;
mod flat_map;
mod key_by;
mod map;
mod process;
mod rewrite;
mod running;
mod sink;
mod source;
mod window;

pub(crate) use failures::Failures;
pub use fields::{
    FieldsFilter, FieldsFilterLane, FieldsFlatMap, FieldsFlatMapLane, FieldsKeyBy, FieldsKeyByLane, FieldsMap,
    FieldsMapLane,
};
#[doc(hidden)]
pub use fields_rows::emit_last;
pub use fields_rows::{
    FieldsCall, FieldsNext, FieldsProcess, FieldsProcessLane, FieldsSink, FieldsSinkLane, FieldsSource,
    FieldsSourceLane, FieldsWrite,
};
pub use filter::{Filter, FilterLane};
pub(crate) use flat_map::FLUSH_BYTES;
pub use flat_map::{FlatMap, FlatMapLane, Rows};
pub use key_by::{KeyBy, KeyByLane};
pub use map::{Map, MapLane};
pub use process::{Call, Process, ProcessLane};
pub use sink::{Sink, SinkLane};
pub use source::{Progress, Source, SourceLane};
pub use window::{FieldsFinish, FieldsFold, FieldsWindow, FieldsWindowLane, Window, WindowLane};

use crate::Error;
use crate::description::Description;

/// The description of an operator. The attribute macros implement this trait.
pub trait Described {
    /// The description, which the host reads before anything runs.
    const DESCRIPTION: Description;
}

/// Panics because a call failed that has neither a record to reject nor an error to return. The host then sees
/// a failed call.
#[cold]
#[expect(clippy::panic, reason = "the contract gives this call no other way to fail than a trap")]
pub(crate) fn broken(call: &str, error: &Error) -> ! {
    panic!("`{call}` failed: {}", error.message())
}
