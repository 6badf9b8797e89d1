//! Least privilege for the calling process, taken in two steps that cannot be undone.
//!
//! ```text
//!   process begins           set up: engine, rings, threads               guests
//! ───────────────▶ Lockdown::before_threads ───────▶ Fenced::after_setup ───────▶ LockdownReport
//!                  descriptors, files, TCP,          system calls, in every
//!                  capabilities, limits              thread at once
//! ```
//!
//! The first step covers the privileges that Linux keeps for each thread and copies to new threads, so it must
//! come before other threads exist. The second step removes the privileges that setup still needs. Executable
//! memory cannot be made after it, so components are loaded before it.
//!
//! Invariants: the process itself can undo nothing here; every restriction that is reported was read back or
//! tested; a restriction that the kernel cannot enforce is always listed in [`LockdownReport::missing`].
//!
//! Left to others: the cgroup, the environment and the parent-death signal (left to the code that starts the
//! process); memory (left to the cgroup and the sandbox's own budget).

mod call_pattern;
mod calls;
mod capabilities;
mod descriptors;
mod error;
mod fence;
mod filter;
mod job_fence;
mod missing;
mod rlimits;
mod ruleset;
mod steps;
mod user;

pub use error::LockdownError;
pub use filter::forbid_new_code;
pub use job_fence::{JobFence, Reach};
pub use missing::Missing;
pub use rlimits::ProcessLimits;
pub use steps::{Fenced, Lockdown, LockdownReport, Purpose};
pub use user::UnprivilegedUser;
