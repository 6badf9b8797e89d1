//! Least privilege for the calling process, taken in two steps and never given back.
//!
//! ```text
//!   process begins           set up: engine, rings, threads               guests
//! ───────────────▶ Lockdown::before_threads ───────▶ Fenced::after_setup ───────▶ LockdownReport
//!                  descriptors, files, TCP,          system calls, in every
//!                  capabilities, limits              thread at once
//! ```
//!
//! The first step is what Linux keeps for each thread and hands on to the threads made later, so it comes before there are any. The
//! second is what setting up still needs: from then on no executable memory can be made, so components are loaded before it.
//!
//! Invariants: nothing here can be undone by the process itself; what is said to hold was read back or tried; what the kernel cannot do
//! stands in [`LockdownReport::missing`] and is never passed over.
//!
//! Left to others: the cgroup, the environment and the parent-death signal (whoever starts the process); memory (the cgroup, and
//! the sandbox's own budget).

mod calls;
mod capabilities;
mod descriptors;
mod error;
mod fence;
mod filter;
mod rlimits;
mod steps;

pub use error::LockdownError;
pub use filter::forbid_new_code;
pub use rlimits::ProcessLimits;
pub use steps::{Fenced, Lockdown, LockdownReport, Missing, Purpose};
