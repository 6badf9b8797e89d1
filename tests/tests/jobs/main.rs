//! The process of a job: every way in which an attempt ends and what is on disk then, the control socket, the log, and
//! what outlives what.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod control;
mod groups;
mod idle;
mod logs;
mod outcomes;
mod paths;
mod scene;
mod shortage;
mod survival;
