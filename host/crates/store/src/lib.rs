//! Checkpoints of a pipeline: a log of epochs in a folder that one process has at a time.
//!
//! ```text
//! engine ─▶ Store::begin ─▶ Epoch::put … ─▶ Epoch::whole ──▶ segment: frames, WHOLE │ fdatasync │ synced
//!        ◀─ Store::restore ◀─ base epoch and the changes after it ◀── CURRENT names the segments that count
//! ```
//!
//! | file | contents |
//! |---|---|
//! | `lock` | locked while a process has the folder open |
//! | `CURRENT` | the valid segments; replaced as a whole |
//! | `synced` | the last epoch that was synced |
//! | `N.epochs` | a segment: the epochs from number N on |
//!
//! Invariants:
//!
//! - An epoch counts when its frames and its end are on the disk. One `fdatasync` brings them there.
//! - Checkpoints that were synced and are damaged are refused with the place of the damage. They are never replaced by
//!   older ones in silence. Bytes at the end that were never synced are cut off.
//! - Nothing is written after a write has failed.
//! - A base epoch begins a segment. So segments before the base of the oldest epoch that is kept are not needed.
//! - Only this crate writes in the folder.
//!
//! Not in this crate: when an epoch is due, what its frames mean, and what follows when it is whole.

mod catalog;
mod current;
mod disk;
mod epoch;
mod epoch_info;
mod error;
mod fault_point;
mod folder_disk;
mod frame;
mod frame_reader;
mod header;
mod inspection;
mod locked_folder;
mod proof;
mod removal;
mod restore;
mod savepoint;
mod savepoint_request;
#[cfg(test)]
mod savepoint_tests;
mod scan;
mod segment;
mod store;
mod whole;

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod damage_tests;
#[cfg(test)]
mod lying_disk;
#[cfg(test)]
mod plain_model;
#[cfg(test)]
mod room_tests;
#[cfg(test)]
mod store_tests;

pub use epoch::Epoch;
pub use epoch_info::EpochInfo;
pub use error::{Damage, RestoreError, StoreError};
pub use fault_point::fault_point;
pub use frame::{Frame, FrameKind};
pub use inspection::{InspectedEpoch, InspectedSegment, Inspection, StageFrames};
pub use removal::Removal;
pub use savepoint_request::{RequestState, SavepointRequest};
pub use store::Store;
