//! A plan and a machine to a grant, or to everything that speaks against it.
//!
//! ```text
//! Plan + Inventory + Supply + who leased what ─► decide ─► Grant ─► hold ─► HeldLeases
//!                                                  └─► Refusal ◄──────┘ (another process was faster)
//! ```
//!
//! [`decide`] is pure: no file is opened, nothing is taken, so `--explain` prints what a run would get. [`hold`] is the one step
//! that takes something, and takes all or nothing; [`admit`] does both.
//!
//! Invariants: what a [`Grant`] says of CPUs fits on the machine unless `--overcommit` was given; whatever was asked for and cannot
//! be enforced is a refusal unless `--allow-unenforced` was given, and then a ledger row that says "none". A [`Refusal`] names
//! every reason, not the first.
//!
//! Leaves to others: pinning threads, capping memory and counting bytes by the grant's numbers (sandbox, engine).

mod cpus;
mod custom;
mod decide;
mod grant;
mod hold;
mod limits;
mod memory;
mod refusal;

#[cfg(test)]
mod tests;

pub use decide::{Options, decide};
pub use grant::{Cpus, Grant, StageGrant};
pub use hold::{HeldLeases, admit, hold};
pub use refusal::{Asker, Reason, Refusal};
