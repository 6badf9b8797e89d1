//! Control groups: enforcement by the kernel of the limits of a tenant, a pipeline and each worker.
//!
//! ```text
//! Cgroups::detect ── canary ──► Controls: available controls, their mechanisms, reasons   (doctor, admission)
//!      │
//!      └ <slice>/<tenant>/<pipeline>/<operator>-<n>
//!          tenant()  pipeline()  instance() ─► Group ─ entry() ─► a child enters between fork and exec
//!                                                    ├ reading(), watch_oom(): counts, and the exceeded limit
//!                                                    └ drop: kills all processes in it, removes the group
//! ```
//!
//! - [`Above`]: the limits of the groups above this process, set by others.
//! - [`Cgroups`]: the slice of this process, in every hierarchy (v1: one for each controller; v2: one).
//! - [`Controls`], [`Control`]: the canary report, as data. [`Composition`]: the cgroup versions in use.
//! - [`Breach`]: the result of a limit that was exceeded on purpose (doctor).
//! - [`Group`]: one level, held. [`GroupEntry`]: the entry for a child. [`GroupLimits`]: the limits of a
//!   group.
//! - [`Delegation`]: a part of the slice that belongs to another user.
//! - [`HostSeat`]: the place of this process in a pipeline's group.
//! - [`GroupReading`]: the kernel's counts. [`OomWatch`]: the level whose limit ended a process.
//! - [`Swept`]: the leftovers of ended supervisors.
//!
//! Invariants: no code outside this module makes or changes a cgroup; every value is read back after it is
//! written, and a different value is an error; a requested limit that is not available is an error, never
//! left out; a group that a living supervisor holds is never swept (the supervisor holds a lock on it, which
//! the kernel releases when the supervisor ends). Not in this module: the decision about limits (admission),
//! and starting processes (worker).

mod above;
mod bounds;
mod branch;
mod breach;
mod canary;
mod cgroups;
mod claim;
mod control;
mod cpu_list;
mod delegate;
mod empty;
mod entry;
mod error;
mod forked;
mod group;
mod hand_down;
mod held;
mod host_seat;
mod knob;
mod level;
mod limits;
mod mounts;
mod name;
mod oom;
mod reach;
mod reading;
mod sweep;
mod tree;

#[cfg(test)]
mod handed_down_tests;
#[cfg(test)]
mod live_tests;

pub use above::{Above, LimitAbove};
pub use breach::Breach;
pub use cgroups::Cgroups;
pub use control::{Composition, Control, Controller, Controls};
pub use delegate::Delegation;
pub use entry::GroupEntry;
pub use error::CgroupError;
pub use group::Group;
pub use host_seat::HostSeat;
pub use level::Level;
pub use limits::GroupLimits;
pub use oom::{OomCulprit, OomWatch, WhoseLimit};
pub use reach::CgroupReach;
pub use reading::{GroupReading, Pressure};
pub use sweep::Swept;
