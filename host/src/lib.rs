//! The `sage-host` program: turns arguments into calls, and errors into text and exit codes.
//!
//! Flow: [`main`] parses the command line and calls the command's file (`run`, `validate`, `inspect`,
//! `build`, `new`, `test`, `doctor`, `devices`, `cache`, `state`). The result becomes lines on stderr, a result on
//! stdout, and an [`ExitCode`].
//!
//! Invariants: stdout carries results and records only, and everything else goes to stderr. Every failure is
//! reported as one `Failure`, with a message, hints and an exit code, and with `--output json` also as an
//! object on stdout. A panic always ends in exit code 1, never in a code with another meaning.
//!
//! Not in this crate: everything that a program using the library would want as well. The code here is only
//! for terminals.

mod args;
mod arriving;
mod build;
mod cache;
mod cargo;
mod devices;
mod doctor;
mod exit_code;
mod failure;
mod field_json;
mod infer;
mod infer_args;
mod inspect;
mod inspect_model;
mod inspect_rows;
mod internal_args;
mod isolation;
mod job;
mod last_word;
mod man;
mod message_format;
mod new;
mod plan_json;
mod printer;
mod program;
mod python;
mod refusal;
mod remote;
mod run;
mod run_owner;
mod run_so_far;
mod signals;
mod state;
mod validate;
mod values;
mod verdict;
mod version;
mod wait;
mod wasm_target;

pub use exit_code::ExitCode;
pub use program::main;
