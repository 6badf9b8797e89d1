use serde::{Deserialize, Serialize};

/// A line of a job's log. `seq` rises by one from line to line over all files and attempts, so a reader notices lines
/// that were dropped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// Number of the line, from 1.
    pub seq: u64,
    /// Time of writing, in milliseconds since the Unix epoch.
    pub at: u64,
    /// The attempt that wrote it.
    pub attempt: u32,
    /// Severity.
    pub level: LogLevel,
    /// The writer.
    pub origin: LogOrigin,
    /// The operator, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<String>,
    /// The instance of the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<u32>,
    /// The message, without control characters.
    pub message: String,
}

/// Severity of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogLevel {
    /// The finest detail.
    Trace,
    /// Detail for the search for a fault.
    Debug,
    /// A fact worth knowing.
    Info,
    /// Something may need attention.
    Warn,
    /// Something failed.
    Error,
}

/// The writer of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogOrigin {
    /// An operator, whose text is not trusted.
    Guest,
    /// The host.
    Host,
    /// A sink for standard output: the message is a record.
    Record,
}
