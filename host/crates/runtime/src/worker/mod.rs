//! Processes that do for the host what must not be done in it: one instance's guests each, one compilation, or one look at a model.
//!
//! Flow: the host starts its own program with a hidden subcommand and hands it an order; the process takes what it
//! needs, gives up everything else ([`lockdown`]), and only then touches what a stranger wrote. Whether all of that works on this machine
//! is tried by [`examine`].
//!
//! Invariants: no guest code runs in such a process before its lockdown is complete; whatever comes back from it is checked as if a
//! guest had sent it.
//!
//! Left to others: what a guest is and how it is called (sandbox); what becomes of a worker that died (engine).

#[cfg(any(test, feature = "any-bytes"))]
pub mod any_bytes;
pub mod compile;
mod death;
pub mod device;
pub mod examine;
mod in_flight;
pub mod inspect_model;
mod instance;
mod kernel_view;
mod listen;
mod message;
mod models_link;
mod models_served;
mod one_shot;
mod open_device;
mod process_guest;
mod process_isolation;
mod processes;
mod serve;
mod served_lane;
mod tensor_wire;
mod worker_setup;

pub use device::serve_device;
pub use one_shot::{OneShotError, OneShotSetup};
pub use process_isolation::ProcessIsolation;
pub use serve::{WorkerError, serve};
