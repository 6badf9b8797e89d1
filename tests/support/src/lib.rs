//! Support of every test in this workspace.
//!
//! | item | purpose |
//! |---|---|
//! | [`skip`], [`Need`] | a test that cannot run on this machine |
//! | [`trials`] | many cases as tests of their own, run in parallel |
//! | [`wait_until`] | a condition that another thread or process brings about |
//!
//! Environment variables of a run:
//!
//! - `SAGE_TEST_REQUIRE`: words of [`Need`], separated by commas. A test that is skipped for lack of one of them
//!   fails.
//! - `SAGE_TEST_SKIPS`: a file. Each skipped test appends a line: need, test and reason, separated by tabs.
//! - `SAGE_TEST_TIMES`: a file. Each trial appends a line: its seconds and its name, separated by a tab.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test fails")]

mod skip;
pub mod trials;
mod wait;

pub use skip::{Need, skip};
pub use wait::wait_until;
