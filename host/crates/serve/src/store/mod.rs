//! The state folder: one folder for each job, and the files that came with pipelines.
//!
//! The folders of jobs are the truth. The index that the server works with is in memory and is built from them at each
//! start, so there is no second place that could disagree with them.
//!
//! Invariants:
//!
//! - One server a state folder: a lock that the kernel releases.
//! - A job is there whole or not at all: its folder is made under another name and renamed, and is renamed before it is
//!   removed.
//! - A file is replaced, never changed ([`sage_jobs::write_json`]).
//! - No name of a user becomes a path. Folders have names that the server made; a name of a user stands inside a file.
//! - A revision is never changed. The state of a job says which one is in force.
//! - A file that came with a pipeline is named by its SHA-256 and exists once. Revisions have hard links to it, and their
//!   number is the number of its users.

mod audit;
mod digest;
mod error;
mod event_log;
mod files;
mod job_files;
mod job_id;
mod job_name;
mod rebuild;
mod revision;
mod revision_files;
mod secrets;
mod signatures;
mod spec;
mod state_folder;
mod tenant_users;

pub use audit::{AuditEntry, AuditLog};
pub use digest::Digest;
pub use error::StoreError;
pub use event_log::{EventLog, JobEvent};
pub use files::{FileStore, StoredFile, Upload};
pub use job_files::{JobFiles, KnownJob, NewJob};
pub use job_id::JobId;
pub use job_name::JobName;
pub use revision::Revision;
pub(crate) use secrets::named_in_file;
pub use secrets::{SecretInfo, SecretStore};
pub use spec::{IdempotencyKey, JobSpec};
pub use state_folder::StateFolder;
pub use tenant_users::TenantUsers;
