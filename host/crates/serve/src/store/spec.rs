use std::collections::BTreeMap;
use std::path::PathBuf;

use sage_jobs::JobIsolation;
use sage_plan::config::TenantName;
use serde::{Deserialize, Serialize};

use super::{Digest, JobId, JobName};

/// What the user of a job asked for. The file is written once, with the first revision; in memory the value has the
/// revision that is in force ([`JobSpec::with`]).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobSpec {
    /// [`sage_jobs::VERSION`] of the server.
    pub version: u32,
    /// The job.
    pub id: JobId,
    /// The name that its user gave to it.
    pub name: JobName,
    /// The tenant to which it belongs. `None`: the owner of the server.
    pub tenant: Option<TenantName>,
    /// When it was submitted, in milliseconds since the Unix epoch.
    pub created: u64,
    /// Number of its revision.
    pub revision: u32,
    /// The path of the pipeline file that was submitted, for messages.
    pub shown_as: Option<PathBuf>,
    /// The folder to which relative paths of data lead.
    pub data: PathBuf,
    /// The files that came with the pipeline file, by the paths that it has.
    pub files: BTreeMap<String, Digest>,
    /// How instances are isolated.
    pub isolation: JobIsolation,
    /// Words of its user about it.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// The key of the request that submitted it.
    #[serde(default)]
    pub idempotency: Option<IdempotencyKey>,
}

/// The key with which a client repeats a request without repeating its effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdempotencyKey {
    /// The key.
    pub key: String,
    /// The digest of the request.
    pub request: Digest,
}
