//! Examination of a model in a one-shot process. A file that takes endless time or all memory, or that crashes
//! the parser, only affects its own pipeline.
//!
//! ```text
//!   host: OneShotInspector                     process: examine_one
//!     file (sealed memory, stdin) ─────────────▶ lockdown, no new code from here on
//!                                                parse
//!                                                load and run once with tract, if wanted
//!     reply (stdout), checked  ◀──────────────── findings, resources used
//!     killed at the timeout
//! ```
//!
//! Invariants: the process reaches no file, no network and no other process, and dies with the thread that
//! waits for it; its resources are limited before it reads the first byte.
//!
//! Left to others: the parsing and the trial (inference).

mod child;
mod examiner;
mod reply;

pub use child::examine_one;
pub use examiner::OneShotInspector;
