//! Where guests run: the only room that names wasmtime.
//!
//! A [`Sandbox`] compiles (or takes from its cache) a component, checks that it is an operator of this contract that imports
//! only what it was granted, and makes [`Guest`]s of it. A `Guest` is one copy of the component: one store, one
//! thread at a time, called with whole batches. What it says comes back in its [`Answer`], every offset, index and length
//! checked; what goes wrong comes back as a [`Failure`] with a stable [`FailureCode`].
//!
//! ```text
//!            load                 start                     call, call, …            close
//! file ───────────────▶ Loaded ──────────▶ Guest (opened) ───────────────▶ Answer ─────────▶ gone
//!   │ LoadError           │ Failure          │ Failure: the guest is dead, start another
//! ```
//!
//! Invariants: nothing a guest sends is indexed with before it is checked; a guest that failed is never entered again; every
//! call has a CPU-time limit and a wall-time limit; every byte of linear memory, tables and keyed state is taken from the
//! instance's [`MemoryBudget`](sage_machine::MemoryBudget) before it exists.
//!
//! Left to others: retries, halving, restarts and what becomes of a failed record (engine); which limits (plan, admission).

mod answer;
mod answer_wire;
mod bounded_files;
mod bounded_streams;
mod cache;
mod cache_entry;
mod cache_folder;
mod charged;
mod clocks;
mod contract;
mod deadline;
mod described;
mod elsewhere;
mod failure;
mod guest;
mod guest_log;
mod helper_clock;
mod host_functions;
mod inspect;
mod instance_bytes;
mod keyed_state;
mod known;
mod lane_io;
mod limiter;
mod load;
mod load_error;
mod runtime;
mod small_bytes;
mod state_changes;
#[cfg(test)]
mod state_steps;
mod stdio;
mod stop;
mod store;
mod tensor_views;
mod ticker;
mod wasi;

pub use answer::{Answer, Emission};
pub use cache_folder::{CacheFolder, CachedComponent};
pub use contract::WIT_VERSION;
pub use deadline::Pacer;
pub use elsewhere::{CompileElsewhere, CompileError, CompileLimits, Compiled, Ports};
pub use failure::{Failure, FailureCode};
pub use guest::{Carried, Guest, GuestSpec, Progress};
pub use guest_log::{GuestLog, KeptLines, LogLine, LogTo};

pub use inspect::{Inspection, MemoryDeclared};
pub use keyed_state::KeyedState;
pub use lane_io::MOST_THREADS_OF_A_LANE;
pub use load::Loaded;
pub use load_error::LoadError;
pub use runtime::{Sandbox, SandboxOptions};
pub use stop::Stop;
