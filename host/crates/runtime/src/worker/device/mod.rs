//! A device in a separate process. The process bounds the damage: a model that hangs, crashes or takes endless
//! memory costs the runs in flight and a restart.
//!
//! ```text
//!  host                                                      the device's process (no network, no new processes)
//!  Runner::run ─▶ a free slot ─▶ slot's thread ── link ────▶ slot's thread ─▶ Backend
//!   waits until its deadline      waits a grace longer        one run at a time
//!  supervisor: starts it, loads its models again, waits for its end, reports its end
//! ```
//!
//! The process of a CPU device opens no files either.
//!
//! Flow: [`DeviceProcess`] is the host's side. Its supervisor owns the single state machine (starting, up,
//! ending, down, closed), and all other threads wait for it. [`serve_device`] is the child's side, and works
//! with any list of backends.
//!
//! Invariants: data from the child is copied, limited and checked before it is used; a run has its answer by
//! its deadline, regardless of the child; a child that does not finish its run within a grace period after the
//! deadline is killed; no child outlives the host, the close of [`DeviceProcess`], or the leases that it runs
//! for, even if its host is stopped; the locks of these leases live exactly as long as the child.
//!
//! Left to others: the choice of runs and their order (inference); the list of devices and their owners
//! (resources, admission).

mod backends;
mod device_setup;
mod lease_expiry;
mod message;
mod model_file;
mod process;
mod serve;
mod served_slot;
mod shared;
mod slot;
mod spec;
mod supervisor;

pub use backends::backends;
pub use process::{DeviceHome, DeviceProcess};
pub use serve::serve_device;
pub use spec::DeviceSpec;
