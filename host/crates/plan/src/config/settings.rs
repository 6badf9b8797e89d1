use std::time::Duration;

use super::Spanned;

/// Resources that one instance asks for, in Ray's terms. The default asks for nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Resources {
    /// CPUs: whole, or a fraction below 1.
    pub num_cpus: Option<Spanned<f64>>,
    /// Bytes of memory.
    pub memory: Option<Spanned<u64>>,
    /// Devices: whole, or a fraction below 1.
    pub num_gpus: Option<Spanned<f64>>,
    /// Bytes of batches waiting on the input edges.
    pub object_store_memory: Option<Spanned<u64>>,
    /// Custom resources, by name: whole, or a fraction below 1.
    pub custom: Vec<(Spanned<String>, Spanned<f64>)>,
}

/// Limits of a call. A limit that is `None` has a default.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Limits {
    /// CPU time of one call.
    pub cpu_time_per_call: Option<Spanned<Duration>>,
    /// Wall time of one call.
    pub call_timeout: Option<Spanned<Duration>>,
    /// Log bytes per second.
    pub log_bytes_per_second: Option<Spanned<u64>>,
    /// Size of the largest record that may be sent, in bytes.
    pub record_bytes: Option<Spanned<u64>>,
    /// Bytes that one call may send in all.
    pub output_bytes_per_call: Option<Spanned<u64>>,
    /// Restarts without a successful call in between.
    pub restarts_in_a_row: Option<Spanned<u64>>,
    /// Sink only: the longest time until records that the sink took must be durable.
    pub flush_interval: Option<Spanned<Duration>>,
}

/// Error policy for a record that fails or is rejected.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum OnError {
    /// The pipeline stops.
    #[default]
    Fail,
    /// The record is counted and dropped.
    Skip,
    /// The record is appended to a file.
    DeadLetter(DeadLetters),
}

/// Settings of the file for dead letters.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DeadLetters {
    /// Path of the file.
    pub path: Spanned<String>,
    /// Largest size of the file in bytes, its present content included.
    pub max_bytes: Option<Spanned<u64>>,
}

/// Capabilities of a guest. The default is none.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Capabilities {
    /// Folders of the host.
    pub folders: Vec<Folder>,
    /// Environment variables.
    pub environment: Vec<(Spanned<String>, Spanned<String>)>,
    /// Addresses, `IP:port`.
    pub connect: Vec<Spanned<String>>,
    /// `coarse` or `precise`.
    pub clock: Option<Spanned<String>>,
}

/// A folder that a guest may use.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Folder {
    /// Path on the host, relative to the pipeline file.
    pub host: Spanned<String>,
    /// Path under which the guest sees the folder.
    pub guest: Spanned<String>,
    /// Whether the guest may change the folder.
    pub write: bool,
}
