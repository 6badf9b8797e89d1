//! The machine's resources, the holdings of running pipelines, and the enforcement of each limit.
//!
//! ```text
//! Inventory ───────────────┬► admission decides ─► LedgerLock ─► leases, claim ─► lanes: pinned, or on SharedCpus
//! LeaseFolder ─► Holdings ─┘          └──────────► EnforcementReport
//! ```
//!
//! - [`Inventory`]: the CPUs that this process may use, and the memory that it can have.
//! - [`LeaseFolder`], [`CpuLease`]: exclusive CPUs for a lane, agreed on by all sage-hosts of the machine.
//! - [`LeasePlace`]: the users that see a folder's leases, and whether other users can take them away.
//!   [`Mending`]: the repair of a run's leases when its folder is deleted or replaced.
//! - [`LedgerLock`], [`HeldClaim`]: the machine's one ledger of claims of running pipelines: memory, shares,
//!   custom resources. [`Holdings`]: the contents of the ledger.
//! - [`DeviceClaim`], [`DeviceShare`]: leases on devices, with a heartbeat, fencing tokens that only rise,
//!   and [`BusyLock`]s that can outlive their holders. [`Revoked`]: the outcome of revoking a lease.
//!   [`TurnTable`]: a table in which runs that share a device see each other, to take turns.
//! - [`pin_current_thread`], [`SharedCpus`]: the CPUs that threads run on. [`LeasedThreads`]: a check that
//!   threads still run on their leased CPUs. [`CpuShare`]: less than one CPU.
//! - [`MemoryBudget`]: one instance's memory. [`thread_cpu_time`]: the clock of deadlines and shares.
//! - [`cgroup`]: enforcement of limits on workers by the kernel.
//! - [`EnforcementReport`]: the table of limits, their mechanisms and their strength.
//!
//! Invariants: a thread is pinned only with the result read back; a lease is exclusive among the users of the
//! same folder and ends with its process; a refused request takes nothing. Not in this crate: the decision
//! about resources (admission), and the calls from lanes (sandbox, engine).

mod allowed_cpus;
mod amount;
mod arithmetic;
mod boot_clock;
mod busy_lock;
pub mod cgroup;
mod claim;
mod cpu_clock;
mod cpu_lease;
mod cpu_set;
mod cpu_share;
mod device_claim;
mod enforcement_report;
mod error;
mod inventory;
mod inventory_watch;
mod lease_folder;
mod lease_locks;
mod lease_place;
mod leased_threads;
mod ledger_lock;
mod lock_holder;
mod meminfo;
mod memory_budget;
mod mending;
mod own_limits;
mod pace;
mod pin;
mod plain_file;
mod report_table;
mod revocation;
mod shared_cpus;
mod shared_words;
mod tier;
mod turn_table;

#[cfg(test)]
mod claim_tests;
#[cfg(test)]
mod device_tests;
#[cfg(test)]
mod lease_tests;
#[cfg(test)]
mod other_process;
#[cfg(test)]
mod turn_tests;

pub use amount::{counted, ten_thousandths};
pub use arithmetic::{Arithmetic, InstanceArithmetic};
pub use boot_clock::since_boot;
pub use busy_lock::BusyLock;
pub use claim::{Amounts, Claim, Holdings};
pub use cpu_clock::{ThreadClock, process_cpu_time, thread_cpu_time};
pub use cpu_lease::{CpuLease, HeldBy, HeldCpu, Holder, LeaseRefused, LeaseRequest};
pub use cpu_set::CpuSet;
pub use cpu_share::CpuShare;
pub use device_claim::{DeviceClaim, DeviceShare, DeviceUse, ShareState};
pub use enforcement_report::{EnforcementReport, Mechanism, ReportRow, Totals};
pub use error::ResourceError;
pub use inventory::{Inventory, NotHere, Supply};
pub use inventory_watch::InventoryWatch;
pub use lease_folder::LeaseFolder;
pub use lease_place::{LeasePlace, LeaseScope};
pub use leased_threads::{Astray, LeasedSeat, LeasedThreads};
pub use ledger_lock::{HeldClaim, LedgerLock};
pub use lock_holder::LockHolder;
pub use memory_budget::{MemoryBudget, OverBudget};
pub use mending::{Damage, Mending};
pub use own_limits::{OwnLimit, limit_behind, limit_below, limit_named_in, raise_open_files};
pub use pace::Pace;
pub use pin::pin_current_thread;
pub use plain_file::{PlainFileError, kind_of_file, read_plain_file, read_plain_file_in_steps};
pub use revocation::Revoked;
pub use shared_cpus::{ProcessSeat, SharedCpus, SharedSeat};
pub use tier::Tier;
pub use turn_table::{TableLock, TurnEntry, TurnTable};
