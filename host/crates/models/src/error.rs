use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::TensorError;

/// Why an inference call has no answer. Closed: the same variants as `inference.error` of the contract, so that each reaches the guest as
/// what it is. After any of them the guest, its lease handle and its models can be used on as before.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InferenceError {
    /// The operator asked for no device (`num_gpus`). Not to be retried.
    #[error("the instance holds no lease on a device: its operator has no num_gpus")]
    NoLease,
    /// The lease ended; it does not come back in this run.
    #[error("the lease on the device {0}")]
    LeaseLost(LeaseEnd),
    /// The device, or the process that drives it, is gone. It may be back for a later call.
    #[error("the device is lost: {0}")]
    DeviceLost(String),
    /// Nobody declares such a model.
    #[error("there is no model \"{0}\"")]
    UnknownModel(String),
    /// The operator's `models` does not list it.
    #[error("model \"{0}\" is not among the operator's models")]
    DeniedModel(String),
    /// A tensor that does not fit the model.
    #[error("input \"{input}\": {expected} was expected, got {got}")]
    BadInput {
        /// Which.
        input: String,
        /// What the model takes.
        expected: String,
        /// What came.
        got: String,
    },
    /// More than may be passed at once.
    #[error("{what} {size}, at most {limit} may be")]
    TooLarge {
        /// What of: `rows are`, `bytes of input are`.
        what: String,
        /// How much came.
        size: u64,
        /// How much may.
        limit: u64,
    },
    /// The device has not enough memory for this call. Fewer rows may fit.
    #[error("the device is out of memory: {0}")]
    OutOfMemory(String),
    /// Too much of this lease is waiting already. May be retried later.
    #[error("too many calls of this lease are waiting")]
    Busy,
    /// No answer in time; one that comes later is dropped.
    #[error("there was no answer before the deadline")]
    Deadline,
    /// The backend cannot do this.
    #[error("not supported: {0}")]
    Unsupported(String),
    /// The backend failed.
    #[error("the backend failed: {0}")]
    Backend(String),
}

/// How a lease ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LeaseEnd {
    /// It is being taken away: what runs may finish, nothing new starts.
    Draining,
    /// Somebody took it away.
    Revoked,
    /// It was not kept alive in time.
    Expired,
}

impl InferenceError {
    /// A tensor whose parts do not fit together, for the input that it was passed as.
    #[must_use]
    pub fn of_tensor(input: &str, error: TensorError) -> Self {
        let (expected, got) = match error {
            TensorError::Length { dtype, shape, expected, got } => {
                let bytes = expected
                    .map_or_else(|| "more bytes than there can be".to_owned(), |bytes| format!("{bytes} bytes"));
                (format!("{bytes} for {dtype}{shape:?}"), format!("{got} bytes"))
            }
            TensorError::NoBool { at, value } => ("bools of 0 or 1".to_owned(), format!("{value} as element {at}")),
        };
        Self::BadInput { input: input.to_owned(), expected, got }
    }

    /// A short name for metrics: the contract's.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoLease => "no-lease",
            Self::LeaseLost(_) => "lease-lost",
            Self::DeviceLost(_) => "device-lost",
            Self::UnknownModel(_) => "unknown-model",
            Self::DeniedModel(_) => "denied-model",
            Self::BadInput { .. } => "bad-input",
            Self::TooLarge { .. } => "too-large",
            Self::OutOfMemory(_) => "out-of-memory",
            Self::Busy => "busy",
            Self::Deadline => "deadline",
            Self::Unsupported(_) => "unsupported",
            Self::Backend(_) => "backend",
        }
    }
}

impl fmt::Display for LeaseEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Draining => "is being taken away",
            Self::Revoked => "was revoked",
            Self::Expired => "expired",
        })
    }
}
