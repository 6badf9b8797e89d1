//! What the attribute macros implement, one trait a kind, and the lanes that carry whole batches through it.
//!
//! You do not write these traits: `#[sage_guest::map]` and its siblings do, from your own function or `impl` block. A *lane* is one copy of
//! an operator at the boundary: it holds the operator between `open` and `close`, walks the records of a call, gathers what
//! comes out in buffers that it keeps from call to call, and answers the host once. It is the same code in a component and under
//! [`testing`](crate::testing).
//!
//! Invariants: a record that is rejected leaves nothing behind, neither output nor state; whatever
//! a call gathered is told before the call returns.

mod failures;
mod filter;
mod flat_map;
mod key_by;
mod map;
mod process;
mod rewrite;
mod sink;
mod source;

pub use filter::{Filter, FilterLane};
pub(crate) use flat_map::FLUSH_BYTES;
pub use flat_map::{FlatMap, FlatMapLane, Rows};
pub use key_by::{KeyBy, KeyByLane};
pub use map::{Map, MapLane};
pub use process::{Call, Process, ProcessLane};
pub use sink::{Sink, SinkLane};
pub use source::{Progress, Source, SourceLane};

use crate::Error;
use crate::description::Description;

/// What an operator says of itself. The attribute macros implement it.
pub trait Described {
    /// For the host, before anything runs.
    const DESCRIPTION: Description;
}

/// An operator was called that is not open. The host never does that, and there is nothing to go on with.
#[cold]
#[expect(clippy::panic, reason = "a breach of the contract by the host; the trap is the answer")]
pub(crate) fn not_open() -> ! {
    panic!("the operator was called before `open` succeeded or after `close`")
}

/// A call failed that has no record to reject and no error to return: the host is to see it fail.
#[cold]
#[expect(clippy::panic, reason = "the contract gives this call no other way to fail than a trap")]
pub(crate) fn broken(call: &str, error: &Error) -> ! {
    panic!("`{call}` failed: {}", error.message())
}
