//! What this machine lets process isolation hold, found out by trying: `sage-host doctor`.
//!
//! ```text
//! examine ─┬─ Cgroups::detect, Cgroups::breach   a limit is set, broken on purpose, and the kernel's answer read
//!          ├─ canary ── sage-host canary         a process that gives up its rights as a worker does and tries what it must not
//!          ├─ worker_process                     a pipeline of three records in a worker
//!          └─ lease_folder, component_cache      written, read back, removed
//!                 │
//!                 ▼
//!              Report: an Examination each, with its tier, what was seen, and what to do
//! ```
//!
//! Invariants: nothing is said to hold that was not seen to hold just now; every process that is started has its time, and neither it nor a
//! group nor a file of it is there afterwards, whatever came of it; nothing that others hold is taken.
//!
//! Left to others: what a pipeline may have on such a machine (admission); the compiler for operators (cli).

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

pub use canary_report::{CanaryError, sing};
pub use examination::Examination;
pub use machine::examine;
pub use report::Report;
