use std::time::Instant;

use super::failed_run::{Member, MemberOutcome};
use super::work::Work;

/// A run in flight.
#[derive(Debug)]
pub(super) struct Running<T> {
    pub(super) number: u64,
    pub(super) began: Instant,
    /// Expected time of the run in nanoseconds.
    pub(super) expected: u64,
    pub(super) parts: Vec<Part<T>>,
    pub(super) exclusive: bool,
    pub(super) state: RunState,
}

/// A call's part of a run.
#[derive(Debug, Clone)]
pub(super) struct Part<T> {
    pub(super) call: T,
    pub(super) lease: u64,
    pub(super) share: u32,
    pub(super) rows: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RunState {
    InFlight,
    /// The run has ended, but the device is not ready for another run in its slot. With `None` the run's own
    /// call was at fault. Otherwise the failed run with this number determines the culprit.
    Recovering(Option<u64>),
}

impl<T: Clone> Part<T> {
    pub(super) fn of(work: &Work<T>) -> Self {
        Self { call: work.call.clone(), lease: work.lease, share: work.share, rows: work.rows.len() }
    }

    pub(super) fn with(self, outcome: MemberOutcome, took: u64) -> Member<T> {
        let Self { call, lease, share, rows } = self;
        Member { call, lease, share, rows, took, outcome }
    }
}
