use std::time::Duration;

use super::Spanned;

/// What one instance asks for, in Ray's words. Nothing by default.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Resources {
    /// CPUs: whole, or a fraction below 1.
    pub num_cpus: Option<Spanned<f64>>,
    /// Bytes.
    pub memory: Option<Spanned<u64>>,
    /// Devices: whole, or a fraction below 1.
    pub num_gpus: Option<Spanned<f64>>,
    /// Bytes of batches waiting on the input edges.
    pub object_store_memory: Option<Spanned<u64>>,
    /// Custom resources, by name: whole, or a fraction below 1.
    pub custom: Vec<(Spanned<String>, Spanned<f64>)>,
}

/// What a call may take. Each has its default.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Limits {
    /// CPU time of one call.
    pub cpu_time_per_call: Option<Spanned<Duration>>,
    /// Wall time of one call.
    pub call_timeout: Option<Spanned<Duration>>,
    /// Log bytes a second.
    pub log_bytes_per_second: Option<Spanned<u64>>,
    /// The largest record that may be sent.
    pub record_bytes: Option<Spanned<u64>>,
    /// Everything that one call may send.
    pub output_bytes_per_call: Option<Spanned<u64>>,
    /// Restarts without a successful call between them.
    pub restarts_in_a_row: Option<Spanned<u64>>,
    /// sink: how long what it took may wait to be made durable.
    pub flush_interval: Option<Spanned<Duration>>,
}

/// What becomes of a record that fails or is rejected.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum OnError {
    /// The pipeline stops.
    #[default]
    Fail,
    /// It is counted and forgotten.
    Skip,
    /// It is appended to a file.
    DeadLetter(DeadLetters),
}

/// Where dead letters go.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DeadLetters {
    /// The file.
    pub path: Spanned<String>,
    /// How long it may get, with what is in it already.
    pub max_bytes: Option<Spanned<u64>>,
}

/// What a guest may reach. Nothing by default.
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
    /// Where it is, relative to the pipeline file.
    pub host: Spanned<String>,
    /// What the guest calls it.
    pub guest: Spanned<String>,
    /// Whether the guest may change it.
    pub write: bool,
}
