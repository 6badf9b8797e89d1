//! Tests which promises of process isolation this machine can keep: `sage-host doctor`.
//!
//! ```text
//! examine ─┬─ Cgroups::detect, Cgroups::breach   sets a limit, breaks it on purpose, and reads the kernel's answer
//!          ├─ canary ── sage-host canary         a process that gives up its rights and tries forbidden actions
//!          ├─ worker_process                     a pipeline of three records in a worker
//!          └─ lease_folder, component_cache      written, read back, removed
//!                 │
//!                 ▼
//!              Report: an Examination each, with its tier, the observation, and a hint
//! ```
//!
//! Invariants: a limit is only reported as enforced if this run observed it; every started process has a time
//! limit; after any outcome, neither the process nor its cgroup nor its files remain; nothing that others hold
//! is taken.
//!
//! Left to others: the resources that a pipeline may have on such a machine (admission); the compiler for
//! operators (cli).

mod attempt;
mod attempts;
mod canary;
mod canary_report;
mod component_cache;
mod cpu_pinning;
mod cpu_quota;
mod device_access;
mod devices;
mod examination;
mod lease_folder;
mod machine;
mod memory;
mod pids;
mod report;
mod shared_memory;
mod system_calls;
mod worker_process;

pub use canary_report::{CanaryError, run_canary};
pub use examination::Examination;
pub use machine::examine;
pub use report::Report;
