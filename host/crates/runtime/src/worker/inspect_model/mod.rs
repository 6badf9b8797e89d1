//! Looking at a model in a process that is thrown away: a file that takes for ever, or all memory, or the parser down, costs whoever
//! brought it, and nobody else.
//!
//! ```text
//!   host: OneShotInspector                     process: examine_one
//!     file (sealed memory, stdin) ─────────────▶ lockdown, no new code from here on
//!                                                parse
//!                                                load and run once with tract, if wanted
//!     reply (stdout), checked  ◀──────────────── what it says, what it took
//!     killed at the timeout
//! ```
//!
//! Invariants: the process reaches no file, no network and no other process, and dies with the thread that waits for it; what it
//! may take is bounded from before it reads the first byte.
//!
//! Left to others: what is read and tried (inference).

mod child;
mod examiner;
mod reply;

pub use child::examine_one;
pub use examiner::OneShotInspector;
