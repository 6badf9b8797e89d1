//! The server without its API: one thread that owns all jobs.
//!
//! Flow: [`Server::open`] finds the jobs of the state folder and adopts those that live. [`Server::run`] takes one
//! piece of mail after another: what a request wants ([`Mailbox::run`]), the death of a process, an answer of a job.
//! After each, and at least each second while jobs wait or end, it looks at deadlines and at the queue.
//!
//! A change of a job goes through [`crate::state::next`]: the new state is on disk before its actions are performed. If
//! it cannot be written, no attempt is started; other changes are kept in memory and written as soon as possible.
//!
//! Invariants:
//!
//! - One thread changes jobs. Nothing in it waits for a job, a client or a child.
//! - An attempt is started only after its number is on disk, and its process holds the lock from its first moment.
//! - The end of an attempt is believed only while nobody holds its lock.
//! - Nothing here knows HTTP.

mod adopt;
mod apply;
mod attempts;
mod beat;
mod checks;
mod commands;
mod denied;
mod entry;
mod feed;
mod numbers;
mod rollout;
mod settings;
mod submit;
mod tenant_view;
mod thread;
mod tick;
mod tidy;
mod view;

pub(crate) use attempts::message_of;
pub use beat::Pulse;
pub use denied::Denied;
pub use feed::{EventFeed, Since};
pub use numbers::{LiveJob, Numbers};
pub use rollout::{RevisionDetail, RevisionList, RolloutTerms};
pub use settings::{Settings, StopJobs};
pub use submit::{Submission, Submitted};
pub use tenant_view::{TenantBounds, TenantUse, TenantView};
pub use thread::{Mailbox, Server, ServerError};
pub use view::{JobDetail, JobFilter, JobPage, JobRow};
