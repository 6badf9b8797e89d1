use std::collections::VecDeque;

use super::unflushed::Unflushed;
use sage_batch::{Batch, BatchPool};

/// A step of a lane's guest, with the number of its attempt.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a batch is passed by value and not stored, and flushes are rare")]
pub(super) enum Step {
    /// Process a batch.
    Call(Batch, u32),
    /// sink: make everything written so far durable. Other kinds: the input has ended.
    End(u32),
    /// window: raise the watermark to `to`, and finish what is due, `most` windows in a call.
    Advance {
        /// The watermark.
        to: i64,
        /// Most windows of a call.
        most: u32,
        /// The number of the attempt.
        attempt: u32,
    },
}

impl Step {
    /// Most windows that one call finishes: as many as a batch has records.
    pub(super) const MOST_WINDOWS: u32 = 1024;

    /// The first step towards a watermark.
    pub(super) fn advance(to: i64) -> Self {
        Self::Advance { to, most: Self::MOST_WINDOWS, attempt: 1 }
    }
}

/// The steps that are left after a failed step, in order.
///
/// A failed batch is tried again `retries` times, then halved until each failing record stands alone. A sink's
/// fresh guest first writes again the batches that the failed guest had taken and not made durable. A flush
/// follows, so that no later failure can lose these batches or cause another rewrite. Recovery terminates: a
/// failed batch has had one more attempt, or is smaller afterwards. A batch that is written again either fails
/// too, or is durable at the next flush, which has the same number of attempts.
///
/// The outputs of a step are sent before the next step is taken. They are final, because their records are
/// handled and the guest's state includes them.
#[derive(Debug, Default)]
pub(super) struct Recovery {
    steps: VecDeque<Step>,
    /// The ticket of the batch that the steps belong to.
    ticket: Option<u64>,
}

impl Recovery {
    pub(super) fn next(&mut self) -> Option<Step> {
        self.steps.pop_front()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The ticket of the batch that the steps belong to. Only needed if lanes share an inbox and send in the
    /// order in which they took.
    pub(super) fn ticket(&self) -> Option<u64> {
        self.ticket
    }

    pub(super) fn set_ticket(&mut self, ticket: Option<u64>) {
        self.ticket = ticket;
    }

    /// Puts the failed step first, unchanged except for its attempt number.
    pub(super) fn again(&mut self, step: Step) {
        self.steps.push_front(match step {
            Step::Call(batch, attempt) => Step::Call(batch, attempt + 1),
            Step::End(attempt) => Step::End(attempt + 1),
            Step::Advance { to, most, attempt } => Step::Advance { to, most, attempt: attempt + 1 },
        });
    }

    /// Puts a step first.
    pub(super) fn first(&mut self, step: Step) {
        self.steps.push_front(step);
    }

    /// Puts the halves of a batch first.
    pub(super) fn halve(&mut self, batch: Batch, attempt: u32, pool: &BatchPool) {
        let middle = batch.len() / 2;
        for (start, end) in [(middle, batch.len()), (0, middle)] {
            let mut half = pool.take();
            // An empty batch takes any shape.
            let _ = half.append_range(&batch, start, end);
            self.steps.push_front(Step::Call(half, attempt + 1));
        }
        pool.put(batch);
    }

    /// Puts first the rewrite of the batches that were lost with the guest, followed by a flush. The flush is
    /// the one that comes next anyway, or an extra one.
    pub(super) fn restore(&mut self, unflushed: &mut Unflushed) {
        if unflushed.is_empty() {
            return;
        }
        if !matches!(self.steps.front(), Some(Step::End(_))) {
            self.steps.push_front(Step::End(1));
        }
        for batch in unflushed.take().into_iter().rev() {
            self.steps.push_front(Step::Call(batch, 1));
        }
    }
}
