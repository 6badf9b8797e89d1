//! The program under shortage: full and faulty disks, limits on the process, outputs that are not read, and guests that
//! do not end. In every case the sums in the summary are right, and the message names the resource that was
//! short.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod disk;
mod ending;
mod faulty;
mod limits;
mod shell;
