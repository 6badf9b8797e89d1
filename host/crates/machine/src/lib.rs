//! What this machine has, what is held of it, and how each promise is kept.
//!
//! ```text
//! Inventory (what there is) ─┬► admission decides ─► LedgerLock (takes) ─► leases, claim ─► lanes: pinned, or among the SharedCpus
//! LeaseFolder ─► Holdings ──────┘           └──────────► EnforcementReport (what is enforced how, in the user's words)
//! ```
//!
//! - [`Inventory`]: the CPUs this process may use and the memory it can have.
//! - [`LeaseFolder`], [`CpuLease`]: CPUs that one lane has to itself, agreed on by all sage-hosts of the machine.
//! - [`LeasePlace`]: who sees a folder's leases, and whether anybody else can take them away. [`Mending`]: what a run does whose folder is deleted or
//!   replaced under it.
//! - [`LedgerLock`], [`HeldClaim`]: the machine's one ledger of what running pipelines hold besides CPUs: memory, shares, custom
//!   resources. [`Holdings`]: what stands in it.
//! - [`DeviceClaim`], [`DeviceShare`]: what leases have of devices, with a heartbeat, tokens that only rise, and [`BusyLock`]s that outlive
//!   their holders. [`Revoked`]: taking one away. [`TurnTable`]: where runs that share a device see each other, to take turns.
//! - [`pin_current_thread`], [`SharedCpus`]: who runs where. [`LeasedThreads`]: whether those on leased CPUs are still there. [`CpuShare`]: less than one CPU.
//! - [`MemoryBudget`]: one instance's memory. [`thread_cpu_time`]: the clock that deadlines and shares go by.
//! - [`cgroup`]: where the kernel itself holds workers to what they were given.
//! - [`EnforcementReport`]: the table that says what holds, by what, and how hard.
//!
//! Invariants: a thread is pinned only with the result read back; a lease is exclusive among those who use the same folder and
//! ends with its process; what is refused takes nothing. Leaves to others: who gets what (admission), and calling these from
//! lanes (sandbox, engine).

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
mod lease_folder;
mod lease_locks;
mod lease_place;
mod leased_threads;
mod ledger_lock;
mod ledger_table;
mod lock_holder;
mod meminfo;
mod memory_budget;
mod mending;
mod own_limits;
mod pin;
mod plain_file;
mod revocation;
mod shared_cpus;
mod shared_words;
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

pub use amount::{bytes, counted, ten_thousandths};
pub use arithmetic::{Arithmetic, InstanceArithmetic};
pub use boot_clock::since_boot;
pub use busy_lock::BusyLock;
pub use claim::{Amounts, Claim, Holdings};
pub use cpu_clock::{ThreadClock, thread_cpu_time};
pub use cpu_lease::{CpuLease, HeldBy, HeldCpu, Holder, LeaseRefused, LeaseRequest};
pub use cpu_set::CpuSet;
pub use cpu_share::CpuShare;
pub use device_claim::{DeviceClaim, DeviceShare, DeviceUse, ShareState};
pub use enforcement_report::{EnforcementReport, LedgerRow, Mechanism, Tier, Totals};
pub use error::ResourceError;
pub use inventory::{Inventory, NotHere, Supply};
pub use lease_folder::LeaseFolder;
pub use lease_place::{LeasePlace, LeaseScope};
pub use leased_threads::{Astray, LeasedSeat, LeasedThreads};
pub use ledger_lock::{HeldClaim, LedgerLock};
pub use lock_holder::LockHolder;
pub use memory_budget::{MemoryBudget, OverBudget};
pub use mending::{Damage, Mending};
pub use own_limits::{OwnLimit, limit_behind, limit_below, limit_named_in};
pub use pin::pin_current_thread;
pub use plain_file::{PlainFileError, kind_of_file, read_plain_file};
pub use revocation::Revoked;
pub use shared_cpus::{ProcessSeat, SharedCpus, SharedSeat};
pub use turn_table::{TableLock, TurnEntry, TurnTable};
