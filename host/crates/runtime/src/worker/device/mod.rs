//! A device in a process of its own, which is what bounds it: a model that hangs, crashes or takes memory without end costs the runs under way,
//! and a restart.
//!
//! ```text
//!  host                                                      the device's process: no network, no new processes, no files (CPU)
//!  Runner::run ─▶ a free slot ─▶ slot's thread ── link ────▶ slot's thread ─▶ Backend
//!   waits until its deadline      waits a grace longer        one run at a time
//!  supervisor: starts it, loads its models again, waits for its end, says how it ended
//! ```
//!
//! Flow: [`DeviceProcess`] is the host's side; its supervisor has the one state machine (starting, up, ending, down, closed) and everybody else waits for it.
//! [`serve_device`] is the child's side, over whatever backends it is given.
//!
//! Invariants: what comes from the child is copied, bounded and checked before it is used; a run has its answer by its deadline, whatever the
//! child does; a child that does not finish its run within a grace after that is killed; no child outlives the host, [`DeviceProcess`]'s close, or
//! the leases that it runs for, even where its host is stopped; the locks of these leases live exactly as long as the child.
//!
//! Left to others: who may run what and when (inference), which devices there are and who holds them (resources, admission).

mod backends;
mod device_setup;
mod kept;
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
pub use spec::{DeviceSpec, Hardware};
