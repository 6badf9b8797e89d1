use std::fmt;

/// Why an inference call has no answer. Closed: the variants of `inference.error` in the contract.
///
/// Like anything that can be displayed it becomes a [`sage_guest::Error`](crate::Error) through `?`. After any of them the lease and its models can be
/// used on; which of them may go away by themselves is said at each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InferenceError {
    /// The operator has no `num_gpus`. For good.
    NoLease,
    /// The lease ended. For good in this run.
    LeaseLost(LeaseEnd),
    /// The device, or what drives it, is gone, and why. May be back for a later call.
    DeviceLost(String),
    /// No model of this name is declared. For good.
    UnknownModel(String),
    /// The operator's `models` does not list it. For good.
    DeniedModel(String),
    /// A tensor that is missing, unknown, or of another type or shape than the model takes. The same tensors fail again.
    BadInput {
        /// Which input.
        input: String,
        /// What the model takes.
        expected: String,
        /// What was passed.
        got: String,
    },
    /// More than may be passed at once. Fewer rows may be taken.
    TooLarge {
        /// Of what, with its verb: `rows are`, `bytes of input are`.
        what: String,
        /// How much was passed.
        size: u64,
        /// How much may be.
        limit: u64,
    },
    /// The device has no memory for this call. Fewer rows may fit.
    OutOfMemory(String),
    /// Too many calls of this instance are waiting. May be tried again later.
    Busy,
    /// No answer in time. May be tried again.
    Deadline,
    /// The backend cannot do this. For good.
    Unsupported(String),
    /// The backend failed.
    Backend(String),
}

/// How a lease ended, or is ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseEnd {
    /// It is being taken away: what runs may finish, nothing new starts.
    Draining,
    /// It was taken away.
    Revoked,
    /// The host did not keep it alive in time.
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
