//! Runs that save epochs: killed at any moment, the next run goes on from the last epoch, and all outputs are as if
//! nothing had happened.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod ends;
mod faults;
mod following;
mod kills;
mod parts;
mod refusals;
mod rescaling;
mod savepoints;
mod scene;
