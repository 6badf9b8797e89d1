//! Separate processes for work that must not run in the host: the guests of one instance, one compilation, or
//! one examination of a model.
//!
//! Flow: the host starts its own program with a hidden subcommand and sends it a setup message. The process
//! takes the resources that it needs and gives up all others ([`lockdown`](sage_process::lockdown)). Only then
//! does it touch untrusted bytes. [`examine`] tests whether all of this works on this machine.
//!
//! Invariants: no guest code runs in such a process before its lockdown is complete; everything that the
//! process sends back is checked as if a guest had sent it.
//!
//! Left to others: the definition of a guest and its calls (sandbox); the handling of a worker's death
//! (engine).

#[cfg(any(test, feature = "any-bytes"))]
pub mod any_bytes;
mod believed;
pub mod compile;
mod death;
pub mod device;
pub mod examine;
mod grace;
mod in_flight;
pub mod inspect_model;
mod instance;
mod kernel_view;
mod listen;
mod message;
mod models_link;
mod models_served;
mod one_shot;
mod one_shot_run;
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
