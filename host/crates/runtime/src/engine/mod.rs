//! Runs a plan: lanes, partitioning, retries, order, drain.
//!
//! A [`Job`] is a pipeline that is read, loaded and validated. [`Job::start`] requests admission and returns a
//! [`Session`], whose [`wait`](Session::wait) returns a summary. Embedders start with a [`PipelineBuilder`]
//! instead of a file.
//!
//! Each lane is an OS thread. If guests run in worker processes, consecutive lanes share a thread (`Chain`).
//! Batches go from the `Outlet` of a lane into the `Inbox` of the next lane or lanes:
//!
//! ```text
//!  SourceLane ──▶ Outlet ──▶ Inbox ──▶ OperatorLane ──▶ Outlet(s) ──▶ Inbox ──▶ SinkLane
//!                 (one Route an edge:     │ guest fails: GuestSupervisor builds another,
//!                  where each record      │ the batch is tried again, then halved
//!                  goes)                  ▼ (Recovery); a record that fails alone meets its OnErrorPolicy
//! ```
//!
//! Invariants: every record that an instance takes in is counted as handled, rejected, dead-lettered, failed or
//! unfinished; the input of a sink component is kept (`Unflushed`) and is counted when it is durable; lanes
//! that share an inbox send in the order in which they took (`Sequencer`); no data flows before every guest has
//! started; every stop of a run goes through one place (`Control`), and the first cause counts.
//!
//! Left to others: the decision whether the machine has enough resources for a run (admission); the rights of a
//! guest during a call (sandbox).

mod answers;
mod assemble;
mod backtraces;
mod batch_time;
mod bell;
mod builder;
mod chain;
mod chain_clock;
mod chain_member;
mod component_source_lane;
mod config_values;
mod control;
mod coordinator;
mod counted_sink;
mod edge_input;
mod edges;
mod effective_limits;
mod epochs;
mod error;
#[cfg(test)]
mod event_time_tests;
mod examine_models;
mod field_lines;
mod field_output;
mod field_reader;
mod field_text;
mod follows;
mod granted_folders;
mod guest_supervisor;
mod hold;
mod inlet;
mod job;
mod job_error;
mod job_options;
mod join_lanes;
mod kept_fields;
mod lane;
mod lane_clock;
mod lane_guest;
mod lane_time;
mod launch;
mod launcher;
mod on_error_policy;
mod open_connectors;
mod operator_lane;
mod outlet;
mod outlets;
mod partition;
mod parts;
mod path_uses;
mod placement;
mod preparation;
mod printed_outputs;
mod provenance;
mod read_written;
mod recovery;
mod rescale;
mod row_runs;
mod run;
mod saved_run;
mod savepoint_words;
mod savepoints;
mod scatter;
mod sequencer;
mod session;
mod sink_lane;
mod source_clock;
mod source_lane;
mod stage_parts;
mod standing;
mod stopped;
mod target;
mod thread_guest;
mod threads;
mod unflushed;
mod watch;
mod window_time;

pub(crate) use backtraces::backtraces_are_shown;
pub use builder::{PipelineBuilder, SinkOf, SourceOf};
pub use control::StopHandle;
pub(crate) use error::with_causes;
pub use error::{PipelineError, RunError};
pub use hold::{HeldLeases, admit};
pub use job::{Admitted, Job};
pub use job_error::JobError;
pub use job_options::{JobOptions, StartFrom};
pub use lane_guest::{DirectGuest, InFlight, LaneGuest, Measured, Wakers};
pub use launcher::{InstanceLauncher, InstanceSetup, LaunchedInstance, Launcher, RunContext};
pub use placement::SharePacer;
pub use savepoints::{Savepoint, SavepointAnswer, SavepointName, SavepointNameError};
pub use session::Session;
pub use stopped::Stopped;
