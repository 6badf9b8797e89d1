//! The program from the outside: arguments in, text and exit codes out.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the functions that tests share, where a panic is how a test fails"
)]

mod devices;
mod doctor;
mod errors;
mod help;
mod internal;
mod man;
mod paths;
mod program;
mod running;
mod state;
