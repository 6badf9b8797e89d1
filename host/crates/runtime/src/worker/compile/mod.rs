//! Compiling in a process that is thrown away: a component that takes for ever, or all memory, or the compiler down, costs whoever
//! brought it, and nobody else.
//!
//! ```text
//!   host: OneShotCompiler                     process: compile_one
//!     component (sealed memory, stdin) ────────▶ lockdown
//!                                                compile
//!                                                no new code from here on
//!                                                ask for side outputs (runs the component)
//!     reply (stdout), checked  ◀──────────────── facts, code
//!     killed at the timeout
//! ```
//!
//! Invariants: the process reaches no file, no network and no other process, and dies with the thread that waits for it; what it
//! may take is bounded from before it reads the first byte.
//!
//! Left to others: what is compiled, and how (sandbox); the cache (sandbox).

mod child;
mod compiler;
mod reply;

pub use child::compile_one;
pub use compiler::OneShotCompiler;
