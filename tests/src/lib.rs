//! Shared code of the end-to-end tests. A scenario is a temporary folder with a pipeline file, run by the
//! real `sage-host` program.
//!
//! Flow: [`guest`] and [`program`] build the components and the program once in a test process, [`Scenario`]
//! fills a folder and runs it, and [`Outcome`] holds the results: exit code, summary, files, dead letters.
//!
//! Invariants: a scenario has a lease folder of its own, so tests never compete for CPUs. The compile cache
//! is shared, as in real use. A run that does not end is killed, and the test reports it. No assertion
//! depends on sleeping.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "all of this is test code: a panic is how it reports"
)]

mod code;
pub mod faulty_files;
mod folder_case;
mod made;
mod module_circles;
mod network;
pub mod onnx;
mod outcome;
pub mod poison;
mod proc_files;
mod scenario;
mod surroundings;
mod wat_guest;
mod worker_files;
pub mod zoo;

pub use code::{ALL as ALL_CODES, Code, Codes};
pub use folder_case::FolderCase;
pub use made::{guest, guest_names, operator, program, repository};
pub use module_circles::module_circles;
pub use network::{free_port, http_get, metric};
pub use outcome::{DeadLetter, Outcome, Stage};
pub use proc_files::{ThreadTimes, allowed_cpus, resident_bytes, thread_cpus, thread_times};
pub use scenario::{Running, Scenario, cache_folder, in_processes};
pub use surroundings::Surroundings;
pub use wat_guest::{WatGuest, wat};
pub use worker_files::{groups_named, has_control, workers_of};
