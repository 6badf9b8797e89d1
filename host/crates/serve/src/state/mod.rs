//! The states of a job, as a pure function of events and time.
//!
//! [`next`] decides every event in every state. It reads no clock and touches no file: the caller persists the new
//! state, and then performs the actions.
//!
//! ```text
//!  checking ──▶ queued ──▶ starting ──▶ running ──▶ completed | failed
//!     │           ▲ ▲          │           │
//!     ▼           │ └─ backoff ◀┴── crash ──┤
//!  rejected       │                        ▼ stop
//!                 └────────── draining ──▶ aborting ──▶ killing      each with a deadline that leads to the next
//!                    restart        └──────────┴───────────┴──▶ stopped | aborted
//! ```
//!
//! Invariants:
//!
//! - A state that something must leave (checking, starting, draining, aborting, killing, backoff) has a deadline. The
//!   deadline leads to a stronger state, and the strongest one repeats itself.
//! - Each attempt has a number of its own, which only rises. What is said of another attempt changes nothing.
//! - A job that has ended runs again only if its user says so.
//! - The revision changes only while no process of the job lives. A change of it ([`Rollout`]) that fails within its
//!   time is undone by the first failure.

mod action;
mod event;
mod job;
mod next;
mod next_rollout;
mod policy;
mod rollout;
#[cfg(test)]
mod tests;

pub use action::Action;
pub use event::{Event, StopMode};
pub use job::{Blame, Desired, Job, Outcome, State};
pub use next::next;
pub use policy::{RestartOn, RestartPolicy, Timeouts};
pub use rollout::{Rollout, RolloutEnd, RolloutOutcome, RolloutStage};
