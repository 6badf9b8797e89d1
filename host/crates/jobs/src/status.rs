use serde::{Deserialize, Serialize};

/// The present state of an attempt. The job writes a change at most once a second.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobStatus {
    /// [`crate::VERSION`] of the job.
    pub version: u32,
    /// Identifier of the job.
    pub id: String,
    /// The attempt that wrote this.
    pub attempt: u32,
    /// Version of the program that runs it.
    pub program: String,
    /// Time of writing, in milliseconds since the Unix epoch.
    pub at: u64,
    /// The state of the attempt.
    pub state: JobState,
    /// Start of that state, in milliseconds since the Unix epoch.
    pub since: u64,
    /// Sources, operators and sinks, upstream before downstream; empty before they have started.
    pub stages: Vec<JobStage>,
}

/// The state of an attempt while its process lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobState {
    /// The job compiles, is admitted and starts its instances.
    Starting,
    /// Records flow, or could.
    Running,
    /// Sources have stopped, and records that were read are finished.
    Draining,
    /// The job stops at once.
    Aborting,
}

/// One source, operator or sink of a running job, all instances together.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct JobStage {
    /// Name of the stage.
    pub name: String,
    /// `source`, `map`, …, `sink`.
    pub kind: String,
    /// Number of instances.
    pub instances: u32,
    /// Records taken in.
    pub records_in: u64,
    /// Records sent out.
    pub records_out: u64,
    /// Records rejected.
    pub rejected: u64,
    /// Records that failed.
    pub failed: u64,
    /// Records written to a dead-letter file.
    pub dead_lettered: u64,
    /// Times that a limit was reached.
    pub breaches: u64,
    /// Times that an instance was built again.
    pub restarts: u64,
    /// Bytes of memory in use; `None` where nothing measures them.
    pub memory_used: Option<u64>,
    /// Bytes of memory that its instances may use.
    pub memory_limit: Option<u64>,
    /// Bytes that wait in front of its instances.
    pub queue_bytes: u64,
    /// The bound of these bytes.
    pub queue_limit: u64,
    /// Seconds of CPU that its instances have used.
    pub cpu_seconds: f64,
    /// Seconds for which a CPU share held its instances back.
    pub throttled_seconds: f64,
    /// Seconds from source to sink within which 99 of 100 records have come so far; only of a sink.
    pub latency_p99: Option<f64>,
}
