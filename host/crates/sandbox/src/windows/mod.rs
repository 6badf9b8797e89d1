//! Windows of event time, kept for a guest that only sums them up.
//!
//! Flow: a batch is assigned to slots, one for each key and window (`fixed_slots`, `session_assignment`). Sessions that became
//! one are merged, and the batch is folded (`fold`). The accumulators go back into the keyed state, where they are
//! charged, undone, saved and restored like those of a process (`entry`). When the watermark rises, windows that are due
//! are finished (`closing`).
//!
//! Invariants:
//!
//! - A window is in the keyed state, and nowhere else. What is kept beside it (`keeper`) is an index that is made again
//!   from the state.
//! - A batch is in all of its windows or in none: the state is committed once, after the last call of the guest.
//! - The order in which windows are finished depends on the state alone, so that the host, whose copy of the state has
//!   another layout, can name the window that fails.

mod assignment;
mod closing;
mod due;
mod entry;
mod fixed_slots;
mod fold;
mod keeper;
mod loading;
mod lost_window;
mod session_assignment;
mod session_slots;

pub(crate) use keeper::WindowKeeper;
pub use lost_window::LostWindow;
