use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What the next attempt of a job runs. The server writes it before it starts the job's process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobOrder {
    /// [`crate::VERSION`] of the server.
    pub version: u32,
    /// Identifier of the job, made by the server: 16 characters of a to z and 2 to 7.
    pub id: String,
    /// Name that its user gave to it.
    pub name: String,
    /// The tenant to which it belongs. `None`: the owner of the server.
    pub tenant: Option<String>,
    /// Number of the revision, from 1.
    pub revision: u32,
    /// Number of the attempt, from 1 over all revisions.
    pub attempt: u32,
    /// The pipeline file, with an absolute path.
    pub pipeline: PathBuf,
    /// The path of the file that its user submitted, for messages. `None`: `pipeline`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown_as: Option<PathBuf>,
    /// Components and models: the path that the pipeline file has, and the file that came with it. A path that is not
    /// listed leads where it leads from `data`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, PathBuf>,
    /// The folder to which relative paths of data lead.
    pub data: PathBuf,
    /// The host file, if the server was given one.
    pub host_file: Option<PathBuf>,
    /// How instances are isolated.
    pub isolation: JobIsolation,
    /// Time for a drain, after which the job aborts.
    pub drain_timeout: Duration,
    /// Where the job listens for [`crate::ControlRequest`].
    pub socket: PathBuf,
    /// Folders besides `data` that the job may use. Without meaning for a job of the owner, which may use any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub folders: Vec<OrderFolder>,
    /// Addresses to which components of a tenant's job may connect.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub connect: Vec<SocketAddr>,
    /// Models of the host that a tenant's job may list. `None`: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub models: Option<Vec<String>>,
    /// Who may sign files that come with the pipeline, in the format of allowed_signers. `None`: no signature is
    /// needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signers: Option<String>,
    /// The secrets that the pipeline names, and the files of [`crate::SecretFile`] with their values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, PathBuf>,
    /// The user that the processes of the job run as. `None`: that of the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<OrderUser>,
    /// The folder of compiled components. `None`: the one of the host file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<PathBuf>,
    /// Whether the kernel must hold the job to its CPU and memory.
    #[serde(default)]
    pub hard_limits: bool,
}

/// The user of a tenant's jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderUser {
    /// Number of the user.
    pub user: u32,
    /// Number of its group.
    pub group: u32,
}

/// A folder that a tenant's job may use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderFolder {
    /// The folder, with an absolute path.
    pub path: PathBuf,
    /// Whether the job may write there.
    pub write: bool,
}

/// How the instances of a job are isolated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobIsolation {
    /// Threads of the job's process.
    Thread,
    /// Processes of their own.
    Process,
}
