//! The process of one job: runs the pipeline of a job's order, as `run` does, for a server that may come and go.
//!
//! ```text
//! process ── begin() of sage-jobs: the lock, the order, the first status
//!    ├ attempt ── the pipeline: the same engine, isolation, admission and words as `run`
//!    ├ JobState ── what is known now ◄── status_writer (a file) and control_socket (a socket) read it
//!    ├ JobLog ◄── messages of the host and of guests, records of stdout sinks
//!    └ JobEnding ── end.json, exactly once, before the lock is released
//! ```
//!
//! Invariants:
//!
//! - Nothing of the process is a pipe to the server: its standard streams are `/dev/null` and a file.
//! - An attempt that does not die has an end: also if its file is invalid, it is refused, it panics, or a signal stops it
//!   while it starts.
//! - A full disk loses lines of the log and versions of the status, and never the job.

mod args;
mod attempt;
mod came_with;
mod check_job;
mod confined;
mod control_client;
mod control_socket;
mod ending;
mod fence;
mod hard_limits;
mod job_log;
mod job_state;
mod log_sink;
mod order_options;
mod peer;
mod process;
mod restart_class;
mod secret_values;
mod status_writer;
mod streams;
mod unused_sink;

pub(super) use args::{CheckJobArguments, JobArguments};
pub(super) use check_job::check_job;
pub(super) use process::job;
