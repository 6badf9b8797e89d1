use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How an attempt ended. It is on disk before the job's lock is released, so a job without lock and without an end of
/// its attempt has crashed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobEnd {
    /// [`crate::VERSION`] of the job.
    pub version: u32,
    /// Identifier of the job.
    pub id: String,
    /// The attempt that ended.
    pub attempt: u32,
    /// When it ended, in milliseconds since the Unix epoch.
    pub at: u64,
    /// How it ended.
    pub outcome: JobOutcome,
    /// The exit code that `run` would have had.
    pub exit_code: u8,
    /// The summary of the run, as `run --output json` prints it; absent if no data flowed.
    pub summary: Option<Value>,
    /// The error, as `--output json` prints it.
    pub error: Option<Value>,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobOutcome {
    /// All input was processed.
    Completed,
    /// A drain stopped it, and all that was read is finished.
    Drained,
    /// It was aborted.
    Aborted,
    /// The pipeline failed, before or while data flowed.
    Failed,
    /// The machine can never give or enforce what it asks for. No data flowed.
    Refused,
    /// The machine could give what it asks for, and other runs hold it. No data flowed; a later attempt may succeed.
    NoRoom,
    /// The ceiling of its tenant could give what it asks for, and other jobs of the tenant hold it. No data flowed.
    TenantFull,
    /// The pipeline file or a component is not valid. No data flowed.
    Invalid,
}
