//! Instances in processes of their own: the limits that the kernel enforces, the death of workers, and the
//! files and processes left behind.
//!
//! These tests do not compare results, failures and summaries with those in threads: all other tests of this
//! package also run with `SAGE_TEST_ISOLATION=process` (`make test`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod chains;
mod cpu;
mod degraded;
mod device;
mod device_process;
mod killed;
mod left_behind;
mod memory;
mod rogue;
