//! Compilation in a one-shot process. A component that compiles for ever, takes all memory or crashes the
//! compiler only affects its own pipeline.
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
//! Invariants: the process reaches no file, no network and no other process, and dies with the thread that
//! waits for it; its resources are limited before it reads the first byte.
//!
//! Left to others: the input and the method of compilation (sandbox); the cache (sandbox).

mod child;
mod compiler;
mod reply;

pub use child::compile_one;
pub use compiler::OneShotCompiler;
