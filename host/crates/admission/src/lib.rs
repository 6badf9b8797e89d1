//! Turns a plan and a machine into a grant, or into the list of all reasons against it.
//!
//! ```text
//!          ┌─ admit: holds the ledger lock ───────────────────────────────────────┐
//! Plan ────┤ Inventory + Supply + Holdings ─► decide ─► Grant ─► leases, claim ───┼─► HeldLeases
//! Options ─┤                                    └─► Refusal                       │
//!          └──────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! [`decide`] is pure: it opens no file and takes nothing, so `--explain` prints the grant that a run would
//! get. `admit` of the runtime crate takes leases and claims, all or nothing: it reads the ledger, decides
//! and takes while no other sage-host of the machine can do so.
//!
//! Invariants:
//!
//! - CPUs, memory, shares and custom resources of a [`Grant`] fit on the machine beside the holdings of all
//!   running pipelines, unless `--overcommit` is given.
//! - Every grant fits below the tenant's ceilings, and its devices always fit.
//! - A request that cannot be enforced is refused unless `--allow-unenforced` is given. With it, the request
//!   gets a report row with the tier "none".
//! - A [`Refusal`] names every reason, not only the first.
//!
//! Other crates pin threads, cap memory and count bytes by the numbers of the grant (sandbox, runtime). The
//! caller finds out which limits of the kernel work for a worker, and fills [`WorkerBounds`].

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
