use std::collections::VecDeque;

use super::unflushed::Unflushed;
use sage_batch::{Batch, BatchPool};

/// One thing that a lane has its guest do, and which try at it this is.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a batch is moved through, not kept, and flushes are few")]
pub(super) enum Step {
    /// Take care of a batch.
    Call(Batch, u32),
    /// sink: make everything written so far durable. The others: no more comes.
    End(u32),
}

/// What is left to do since a step failed, first things first.
///
/// A batch that fails is tried again `retries` times, then halved until each record that fails stands alone. A sink's fresh guest first writes again what the
/// last one had taken and not made durable, and flushes it, so that no later failure can lose it or have it written once more. That it comes
/// to an end: a batch that has failed was tried once more or is smaller afterwards, and one that is written again either fails too
/// or is durable at the flush behind it, which is tried as often.
///
/// The outputs of a step are sent before the next step is taken: they are final, since the records behind them are handled and the guest's state has them.
#[derive(Debug, Default)]
pub(super) struct Recovery {
    steps: VecDeque<Step>,
    /// The number of the batch that this is about.
    ticket: Option<u64>,
}

impl Recovery {
    pub(super) fn next(&mut self) -> Option<Step> {
        self.steps.pop_front()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The number of the batch that steps are about, where lanes share an inbox and send in the order in which they took.
    pub(super) fn ticket(&self) -> Option<u64> {
        self.ticket
    }

    pub(super) fn set_ticket(&mut self, ticket: Option<u64>) {
        self.ticket = ticket;
    }

    /// The step that failed comes next, as it was.
    pub(super) fn again(&mut self, step: Step) {
        self.steps.push_front(match step {
            Step::Call(batch, attempt) => Step::Call(batch, attempt + 1),
            Step::End(attempt) => Step::End(attempt + 1),
        });
    }

    /// The halves of a batch come next.
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

    /// Before all else what was lost with the guest is written again, and made durable: by the flush that comes next anyway, or by one more.
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
