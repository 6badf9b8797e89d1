//! The processes of jobs: their start, their death, and what is asked of them.
//!
//! A job's process belongs to nobody: it has a session of its own, holds no pipe to the server, and goes on when the
//! server ends. Whether it lives is the lock of its folder, never the number of a process: [`DeathWatch`] only says
//! when to look at the lock.

mod ask;
mod control;
mod death_watch;
mod holders;
mod start;

pub use ask::Askers;
pub use control::{ControlError, ask};
pub use death_watch::{DeathWatch, JobProcess};
pub use holders::{holder, holders};
pub use start::{ended_with, last_words, start_check, start_job};
