use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::TensorError;

/// The reason why an inference call has no result. The set is closed: it has the same variants as
/// `inference.error` of the WIT contract, so each error reaches the guest unchanged. After any of them the
/// guest, its lease handle and its models remain usable.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InferenceError {
    /// The operator requested no device (`num_gpus`). A retry cannot succeed.
    #[error("the instance holds no lease on a device: its operator has no num_gpus")]
    NoLease,
    /// The lease has ended and does not come back in this run.
    #[error("the lease on the device {0}")]
    LeaseLost(LeaseEnd),
    /// The device is lost, or the process that drives it. A later call may succeed.
    #[error("the device is lost: {0}")]
    DeviceLost(String),
    /// No model with this name is declared.
    #[error("there is no model \"{0}\"")]
    UnknownModel(String),
    /// The operator's `models` does not list the model.
    #[error("model \"{0}\" is not among the operator's models")]
    DeniedModel(String),
    /// A tensor does not fit the model.
    #[error("input \"{input}\": {expected} was expected, got {got}")]
    BadInput {
        /// The name of the input.
        input: String,
        /// The tensor that the model accepts.
        expected: String,
        /// The tensor that the caller passed.
        got: String,
    },
    /// The call passes more than the limit.
    #[error("{what} {size}, at most {limit} may be")]
    TooLarge {
        /// The counted quantity: `rows are`, `bytes of input are`.
        what: String,
        /// The passed amount.
        size: u64,
        /// The allowed amount.
        limit: u64,
    },
    /// The device does not have enough memory for this call. Fewer rows may fit.
    #[error("the device is out of memory: {0}")]
    OutOfMemory(String),
    /// Too many calls of this lease are already waiting. A later retry may succeed.
    #[error("too many calls of this lease are waiting")]
    Busy,
    /// There was no result before the deadline. A later result is dropped.
    #[error("there was no answer before the deadline")]
    Deadline,
    /// The backend does not support the request.
    #[error("not supported: {0}")]
    Unsupported(String),
    /// The backend failed.
    #[error("the backend failed: {0}")]
    Backend(String),
}

/// The way in which a lease ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LeaseEnd {
    /// The lease is being revoked. Running calls may finish and no new call starts.
    Draining,
    /// The lease was revoked.
    Revoked,
    /// The lease was not renewed in time.
    Expired,
}

impl InferenceError {
    /// The error for an invalid tensor that was passed as this input.
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

    /// A short name for metrics, as in the WIT contract.
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
