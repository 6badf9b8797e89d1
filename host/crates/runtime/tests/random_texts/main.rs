//! Random texts, and the records that a source reads from them. The cases with known results are in
//! `format_cases/`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod against_python;
mod any_bytes;
#[allow(dead_code, reason = "another test program uses the rest")]
#[path = "../format_cases/reading.rs"]
mod reading;
