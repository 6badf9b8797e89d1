//! Models as a pipeline has them: what a guest is told, what becomes of leases, and what a device that goes wrong costs. Runs once
//! with instances in threads and once with each in a process of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod cut;
mod declared;
mod devices;
#[cfg(feature = "tract")]
mod file_types;
mod guests;
mod leases;
#[cfg(feature = "tract")]
mod rows;
mod told;
mod turns;
