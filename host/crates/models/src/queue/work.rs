use std::ops::Range;
use std::time::{Duration, Instant};

use super::failed_run::Apart;
use crate::{DType, Tensor};

/// How calls of a model may be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rules {
    /// Rows of one run at most.
    pub(super) max_rows: usize,
    /// How long a call may wait for company.
    pub(super) max_delay: Duration,
    /// Whether its first dimension is rows, by which a call can be cut.
    pub(super) cut: bool,
    /// Whether calls run together.
    pub(super) together: bool,
}

/// A call that waits, or the part of one that runs.
#[derive(Debug, Clone)]
pub(super) struct Work<T> {
    /// Whose it is.
    pub(super) call: T,
    /// The lease it runs for, and its share in 1/10,000.
    pub(super) lease: u64,
    pub(super) share: u32,
    /// The model's number.
    pub(super) model: usize,
    /// Calls of one kind can run together.
    pub(super) kind: Kind,
    /// Which of the call's rows.
    pub(super) rows: Range<usize>,
    /// Bytes of its inputs.
    pub(super) bytes: usize,
    /// Since when it waits.
    pub(super) since: Instant,
    /// When its answer is of no use any more.
    pub(super) until: Instant,
    /// It failed in company, and runs without.
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

    /// Of a call whose rows are nobody else's company.
    pub(super) fn whole() -> Self {
        Self(None)
    }
}

/// What runs together.
#[derive(Debug)]
pub(super) struct Batch<T> {
    /// How many were picked before it.
    pub(super) number: u64,
    /// The model's number.
    pub(super) model: usize,
    /// At least one; their rows follow each other.
    pub(super) works: Vec<Work<T>>,
}

impl<T> Batch<T> {
    /// All of them together.
    pub(super) fn rows(&self) -> usize {
        self.works.iter().map(|work| work.rows.len()).sum()
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// Each call has its answer.
    Answered,
    /// With an error, which may be due to one of its calls.
    Failed,
    /// Not in time.
    Late,
    /// With the device, and with whatever else ran on it.
    Lost,
}

/// What so much device time comes to for a share in 1/10,000.
pub(super) fn by_share(took: u64, share: u32) -> u128 {
    u128::from(took) * 10_000 / u128::from(share.max(1))
}

/// Whole nanoseconds of a duration.
pub(super) fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
