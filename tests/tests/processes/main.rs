//! InstanceLauncher in processes of their own: what the kernel holds them to, what happens when they die, and what is left of them.
//!
//! That results, failures and summaries are the same as with threads is not tested here: every other test of this package runs with
//! `SAGE_TEST_ISOLATION=process` too (`make test`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod chains;
mod cpu;
mod degraded;
mod device;
mod killed;
mod left_behind;
mod memory;
mod rogue;
