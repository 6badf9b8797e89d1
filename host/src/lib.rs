//! The `sage-host` program: arguments to calls, errors to words and exit codes.
//!
//! Flow: [`main`] parses the command line, hands it to the command's file (`run`, `validate`, `inspect`, `build`, `new`,
//! `test`, `doctor`, `devices`, `cache`), and turns what comes back into lines on stderr, a result on stdout, and an [`ExitCode`].
//!
//! Invariants: stdout carries results and records only, everything else goes to stderr; every failure leaves through one
//! `Failure` and so has a message, its hints and its exit code, and with `--output json` an object on stdout too; a panic anywhere ends in
//! exit code 1, never in a code that means something else.
//!
//! Left to others: everything that a program using the library would want as well. What is here is only for terminals.

mod args;
mod arriving;
mod build;
mod cache;
mod cargo;
mod devices;
mod doctor;
mod exit_code;
mod failure;
mod inspect;
mod inspect_model;
mod last_word;
mod new;
mod printer;
mod program;
mod refusal;
mod run;
mod signals;
mod validate;
mod values;
mod wait;
mod wasm_target;

pub use exit_code::ExitCode;
pub use program::main;
