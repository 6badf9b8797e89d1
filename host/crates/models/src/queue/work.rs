use std::ops::Range;
use std::time::{Duration, Instant};

use super::failed_run::Apart;
use crate::{DType, Tensor};

/// Rules for the calls of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rules {
    /// Maximum rows of one run.
    pub(super) max_rows: usize,
    /// Maximum wait of a call for others to run with.
    pub(super) max_delay: Duration,
    /// Whether the first dimension is rows, so that a call can be cut.
    pub(super) cut: bool,
    /// Whether calls run together.
    pub(super) together: bool,
}

/// A waiting call, or a running part of one.
#[derive(Debug, Clone)]
pub(super) struct Work<T> {
    /// The call.
    pub(super) call: T,
    /// The lease of the call, and its share in 1/10,000.
    pub(super) lease: u64,
    pub(super) share: u32,
    /// The model's number.
    pub(super) model: usize,
    /// Calls of one kind can run together.
    pub(super) kind: Kind,
    /// The rows of the call.
    pub(super) rows: Range<usize>,
    /// Bytes of the inputs.
    pub(super) bytes: usize,
    /// Start of the wait.
    pub(super) since: Instant,
    /// Deadline of the answer.
    pub(super) until: Instant,
    /// Set if the call failed in a batch and is retried in isolation.
    pub(super) apart: Option<Apart>,
}

/// The types and all dimensions but the rows of a call's inputs; `None` of a call that runs whole and alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kind(pub(super) Option<Vec<(DType, Vec<usize>)>>);

impl Kind {
    pub(super) fn of(inputs: &[Tensor]) -> Self {
        let inner = |tensor: &Tensor| tensor.shape().get(1..).unwrap_or_default().to_vec();
        Self(Some(inputs.iter().map(|tensor| (tensor.dtype(), inner(tensor))).collect()))
    }

    /// The kind of a call that runs whole and alone.
    pub(super) fn whole() -> Self {
        Self(None)
    }
}

/// Calls that run together.
#[derive(Debug)]
pub(super) struct Batch<T> {
    /// Number of batches that were picked before this one.
    pub(super) number: u64,
    /// The model's number.
    pub(super) model: usize,
    /// At least one call. Their rows follow each other.
    pub(super) works: Vec<Work<T>>,
}

impl<T> Batch<T> {
    /// Number of rows of all calls.
    pub(super) fn rows(&self) -> usize {
        self.works.iter().map(|work| work.rows.len()).sum()
    }
}

/// The end of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// Each call has its answer.
    Answered,
    /// The run had an error, which may be due to one of its calls.
    Failed,
    /// The run passed its deadline.
    Late,
    /// The device was lost, with all other runs on it.
    Lost,
}

/// Device time divided by a share in 1/10,000.
pub(super) fn by_share(took: u64, share: u32) -> u128 {
    u128::from(took) * 10_000 / u128::from(share.max(1))
}

/// Whole nanoseconds of a duration.
pub(super) fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
