//! The program where the machine gives out: full disks, limits on the process, outputs that nobody takes, and guests that do not end. Whatever it is, the
//! sum in the summary is right, and the words name what was short.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod disk;
mod ending;
mod limits;
mod shell;
