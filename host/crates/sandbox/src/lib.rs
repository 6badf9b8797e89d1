//! Runs guests. No other crate of this workspace names wasmtime.
//!
//! A [`Sandbox`] compiles a component or takes the compiled code from its cache. The sandbox then checks that
//! the component is an operator of this contract and that the host provides every interface it imports. Each
//! [`Guest`] is one copy of the component: it has one store, is used by one thread at a time, and is called
//! with whole batches. The guest's output comes back as an [`Answer`] in which every offset, index and length
//! has been checked. An error comes back as a [`Failure`] with a stable [`FailureCode`].
//!
//! ```text
//!            load                 start                     call, call, …            close
//! file ───────────────▶ Loaded ──────────▶ Guest (opened) ───────────────▶ Answer ─────────▶ gone
//!   │ LoadError           │ Failure          │ Failure: the guest is dead, start another
//! ```
//!
//! Invariants:
//!
//! - No value that a guest sends is used as an index before it has been checked.
//! - A guest that failed is never entered again.
//! - Every call has a CPU-time limit and a wall-time limit.
//! - Every byte of linear memory, tables and keyed state is taken from the instance's
//!   [`MemoryBudget`](sage_machine::MemoryBudget) before it is allocated.
//!
//! Not part of this crate: retries, halving of batches, restarts and the handling of failed records (engine);
//! the choice of the limits (plan, admission).

mod answer;
mod answer_wire;
mod bounded_files;
mod bounded_streams;
mod by_key;
mod cache;
mod cache_entry;
mod cache_folder;
mod cached_facts;
mod call_by_field;
mod carried;
mod charged;
mod check_shape;
mod clocks;
mod compile_for_another;
mod component_ports;
mod contract;
mod deadline;
mod described;
mod directory_entries;
mod elsewhere;
mod failure;
mod field_answer;
mod fields_contract;
mod find_component;
mod float_list;
mod footprint;
mod foreign;
mod freed_slots;
mod guest;
mod guest_log;
mod handles;
mod helper_clock;
mod host_functions;
mod imports;
mod inherited;
mod inspect;
mod instance_bytes;
mod keyed_state;
mod known;
mod lane_io;
mod limiter;
mod linkers;
mod load;
mod load_error;
mod loaded;
mod no_udp;
mod printed;
mod received_answer;
mod route_changes;
mod runtime;
mod sealed_code;
mod small_bytes;
mod state_changes;
#[cfg(test)]
mod state_steps;
mod state_table;
mod stdio;
mod stop;
mod store;
mod take_fields;
mod tensor_views;
mod ticker;
mod unsaved_slots;
mod unsaved_state;
mod wasi;
mod window_answer;
mod window_call;
mod windows;

pub use answer::{Answer, Emission};
pub use cache_folder::{CacheFolder, CachedComponent};
pub use carried::Carried;
pub use contract::WIT_VERSION;
pub use deadline::Pacer;
pub use elsewhere::{CompileElsewhere, CompileError, CompileLimits, Compiled, Ports};
pub use failure::{Failure, FailureCode};
pub use guest::{Guest, GuestSpec, Progress};
pub use guest_log::{GuestLog, KeptLines, LogLine, LogTo};

pub use imports::ImportAccess;
pub use inherited::kept_bytes;
pub use inspect::{Inspection, MemoryDeclared};
pub use keyed_state::KeyedState;
pub use lane_io::MOST_THREADS_OF_A_LANE;
pub use load_error::LoadError;
pub use loaded::Loaded;
pub use route_changes::route_changes;
pub use runtime::{Sandbox, SandboxOptions, WASMTIME_VERSION};
pub use stop::Stop;
pub use windows::LostWindow;
