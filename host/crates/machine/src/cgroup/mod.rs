//! Control groups: where the kernel itself holds a tenant, a pipeline and each worker to what they were given.
//!
//! ```text
//! Cgroups::detect ── canary ──► Controls: what there is, by which mechanism, and why not   (doctor, admission)
//!      │
//!      └ <slice>/<tenant>/<pipeline>/<operator>-<n>
//!          tenant()  pipeline()  instance() ─► Group ─ entry() ─► a child puts itself in between fork and exec
//!                                                    ├ reading(), watch_oom(): what the kernel counted, and whose limit it was
//!                                                    └ drop: everything in it is killed, the group removed
//! ```
//!
//! - [`Above`]: the limits of the groups above this process, whoever set them.
//! - [`Cgroups`]: the slice of this process, in every hierarchy that there is (v1: one for each controller; v2: one).
//! - [`Controls`], [`Control`]: what was found by trying, as data. [`Composition`]: which of the kernel's ways it is.
//! - [`Breach`]: a limit broken on purpose, and what was seen of it (doctor).
//! - [`Group`]: one level, held. [`GroupEntry`]: the way in. [`GroupLimits`]: what it is held to.
//! - [`GroupReading`]: the kernel's counts. [`OomWatch`]: which level's limit ended a process.
//! - [`Swept`]: what a dead supervisor had left.
//!
//! Invariants: nothing outside this room makes or changes a cgroup; every value written is read back, and one that reads otherwise is an error; a
//! limit that is asked for and cannot be had is an error, never left out; a group that a living supervisor holds is never swept
//! (it holds a lock on it, which the kernel lets go when it dies). Leaves to others: what anybody gets (admission), starting processes
//! (worker).

mod above;
mod bounds;
mod branch;
mod breach;
mod canary;
mod cgroups;
mod claim;
mod control;
mod cpu_list;
mod empty;
mod entry;
mod error;
mod forked;
mod group;
mod hand_down;
mod knob;
mod limits;
mod mounts;
mod name;
mod oom;
mod reading;
mod sweep;

#[cfg(test)]
mod handed_down_tests;
#[cfg(test)]
mod live_tests;

pub use above::{Above, LimitAbove};
pub use breach::Breach;
pub use cgroups::Cgroups;
pub use control::{Composition, Control, Controller, Controls};
pub use entry::GroupEntry;
pub use error::CgroupError;
pub use group::{Group, Level};
pub use limits::GroupLimits;
pub use oom::{OomCulprit, OomWatch, WhoseLimit};
pub use reading::{GroupReading, Pressure};
pub use sweep::Swept;
