//! A plan and a machine to a grant, or to everything that speaks against it.
//!
//! ```text
//!          ┌─ admit: the machine's ledger held alone ────────────────────────┐
//! Plan ────┤ Inventory + Supply + Holdings ─► decide ─► Grant ─► leases, claim ──┼─► HeldLeases
//! Options ─┤                                 └─► Refusal                      │
//!          └──────────────────────────────────────────────────────────────────┘
//! ```
//!
//! [`decide`] is pure: no file is opened, nothing is taken, so `--explain` prints what a run would get. [`admit`] is what takes
//! something, and takes all or nothing: it looks, decides and takes while no other sage-host of the machine does.
//!
//! Invariants: what a [`Grant`] says of CPUs, memory, shares and custom resources fits on the machine beside what all its running
//! pipelines hold unless `--overcommit` was given, and always fits below the tenant's ceilings; what it says of devices always fits; whatever was asked for and cannot
//! be enforced is a refusal unless `--allow-unenforced` was given, and then a ledger row that says "none". A [`Refusal`] names
//! every reason, not the first.
//!
//! Leaves to others: pinning threads, capping memory and counting bytes by the grant's numbers (sandbox, engine), finding out
//! what the kernel can hold a worker by (whoever fills [`WorkerBounds`]).

mod cpu_pool;
mod cpus;
mod custom;
mod decide;
mod devices;
mod grant;
mod holders;
mod isolation;
mod lease_place;
mod ledger_row;
mod limits;
mod memory;
mod needs;
mod notes;
mod options;
mod pids;
mod quota;
mod refusal;
mod standing;
mod strict;
mod tenant;
mod worker_memory;

#[cfg(test)]
mod device_tests;
#[cfg(test)]
mod ledger_tests;
#[cfg(test)]
mod quota_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod worker_tests;

pub use decide::{decide, fits_alone};
pub use grant::{Cpus, DeviceGrant, Grant, StageGrant};
pub use holders::Holding;
pub use isolation::{Isolation, KernelLimits, WorkerBounds};
pub use needs::Needs;
pub use options::Options;
pub use refusal::{Asker, Reason, Refusal};
pub use standing::{Loss, Observed, losses};
