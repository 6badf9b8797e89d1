use std::fmt;

/// The reason why an inference call has no answer. The enum is closed: it has the variants of `inference.error`
/// in the contract.
///
/// Like every type with `Display`, the error becomes a [`sage_guest::Error`](crate::Error) through `?`. The
/// lease and its models stay usable after every error. Each variant says whether a retry can succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InferenceError {
    /// The operator has no `num_gpus`. Permanent.
    NoLease,
    /// The lease has ended. Permanent in this run.
    LeaseLost(LeaseEnd),
    /// The device or its driver process is gone; the text is the reason. A later call may succeed.
    DeviceLost(String),
    /// The pipeline declares no model of this name. Permanent.
    UnknownModel(String),
    /// The operator's `models` does not list this model. Permanent.
    DeniedModel(String),
    /// A tensor is missing or unknown, or has another type or shape than the model takes. The same tensors fail
    /// again.
    BadInput {
        /// Name of the input.
        input: String,
        /// The tensor that the model takes, as text.
        expected: String,
        /// The tensor that the operator passed, as text.
        got: String,
    },
    /// The call passes more than the limit allows. A call with fewer rows may succeed.
    TooLarge {
        /// The quantity, with its verb: `rows are`, `bytes of input are`.
        what: String,
        /// The amount that the operator passed.
        size: u64,
        /// The largest allowed amount.
        limit: u64,
    },
    /// The device has no memory for this call. A call with fewer rows may succeed.
    OutOfMemory(String),
    /// Too many calls of this instance are waiting. A later call may succeed.
    Busy,
    /// No answer arrived in time. A later call may succeed.
    Deadline,
    /// The backend does not support the operation. Permanent.
    Unsupported(String),
    /// The backend failed.
    Backend(String),
}

/// How a lease has ended, or is about to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseEnd {
    /// The lease is being revoked: runs in flight may finish, and no new run starts.
    Draining,
    /// The lease was revoked.
    Revoked,
    /// The host did not renew the lease in time.
    Expired,
}

impl fmt::Display for InferenceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoLease => f.write_str("no lease on a device: give the operator `num_gpus` in its resources"),
            Self::LeaseLost(end) => write!(f, "the lease on the device {end}"),
            Self::DeviceLost(why) => write!(f, "the device is lost: {why}"),
            Self::UnknownModel(name) => write!(f, "there is no model {name:?}: declare it as `[model.{name}]`"),
            Self::DeniedModel(name) => write!(f, "model {name:?} is not among the operator's `models`"),
            Self::BadInput { input, expected, got } => write!(f, "input {input:?}: {expected} was expected, got {got}"),
            Self::TooLarge { what, size, limit } => write!(f, "{what} {size}, at most {limit} may be"),
            Self::OutOfMemory(why) => write!(f, "the device is out of memory: {why}"),
            Self::Busy => f.write_str("too many calls of this instance are waiting"),
            Self::Deadline => f.write_str("there was no answer before the deadline"),
            Self::Unsupported(what) => write!(f, "not supported: {what}"),
            Self::Backend(why) => write!(f, "the backend failed: {why}"),
        }
    }
}

impl std::error::Error for InferenceError {}

impl fmt::Display for LeaseEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Draining => "is being taken away",
            Self::Revoked => "was revoked",
            Self::Expired => "expired",
        })
    }
}
