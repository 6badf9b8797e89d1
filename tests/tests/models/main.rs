//! Models in pipelines: the answers that a guest receives, the life of leases, and the cost of a failing
//! device. These tests run once with instances in threads and once with each instance in a process of its
//! own.
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
