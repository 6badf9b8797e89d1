use std::collections::VecDeque;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Duration;

use sage_batch::{Batch, DirectSend};
use sage_sandbox::{Answer, Failure, Progress};

/// The guest of one lane, wherever it runs: in the lane's own thread, or in a worker process.
///
/// Batches are [handed over](LaneGuest::hand_over) and their answers [taken](LaneGuest::answer) in the same order, as many as it has room for under way
/// at a time, so that a guest elsewhere need not wait for the lane between two calls. It keeps them until they are answered. All other
/// calls are made while none is under way.
///
/// After a [`Failure`] the guest is dead, and everything that was under way with it [comes back](LaneGuest::take_back); besides that only
/// [`LaneGuest::start`] makes sense. Its keyed state is as after the last answer that was taken.
pub trait LaneGuest: Send {
    /// Starts a guest: the first, or a fresh one in place of one that failed.
    ///
    /// # Errors
    /// How the start failed. It may be tried again.
    fn start(&mut self) -> Result<(), Failure>;

    /// Whether another batch may be handed over.
    fn has_room(&self) -> bool;

    /// How many batches are under way.
    fn in_flight(&self) -> usize;

    /// Hands a batch over.
    ///
    /// # Errors
    /// It comes back: there is no room for it until an answer was taken. Never so while nothing is under way.
    #[expect(clippy::result_large_err, reason = "the error is the batch, which was moved in just so")]
    fn hand_over(&mut self, held: InFlight) -> Result<(), InFlight>;

    /// Where others may hand batches over, past the lane: its thread then only takes answers, and [waits](LaneGuest::wait) for them here.
    fn direct_send(&self) -> Option<Arc<dyn DirectSend>> {
        None
    }

    /// With an direct_send: waits, `most` at the longest, until an answer may be there or somebody used [`DirectSend::wake`].
    ///
    /// # Errors
    /// The guest is lost though nothing is under way with it.
    fn wait(&mut self, _most: Duration) -> Result<(), Failure> {
        Ok(())
    }

    /// With an direct_send: whether [`LaneGuest::answer`] has something to say without waiting for it to begin.
    fn is_answered(&mut self) -> bool {
        true
    }

    /// With an direct_send, for a thread that waits for several guests: it is about to sleep at their [wakers](LaneGuest::wakers). `true`: it should not, there
    /// is something. `lightly`: what comes coalesced need not wake it.
    fn arm(&mut self, _lightly: bool) -> bool {
        true
    }

    /// With an direct_send: the thread has slept, or not, and seen whether the guest's process has died. Whether its doorbell was rung.
    fn disarm(&mut self, _died: bool) -> bool {
        true
    }

    /// With an direct_send: what wakes a thread that has said it sleeps.
    fn wakers(&self) -> Option<Wakers<'_>> {
        None
    }

    /// Waits for the answer to the oldest batch that is under way, which it comes with; `None` if none is.
    fn answer(&mut self) -> Option<(InFlight, Result<&mut Answer, Failure>)>;

    /// After a failure: the batches that were under way behind the one that it came with, the oldest first.
    fn take_back(&mut self) -> VecDeque<InFlight>;

    /// source: asks for more. What it emitted is in the answer.
    ///
    /// # Errors
    /// The guest failed, or answered with an error.
    fn next(&mut self, max_records: u32, max_bytes: u32) -> Result<(Progress, &mut Answer), Failure>;

    /// source: where it stands.
    ///
    /// # Errors
    /// The guest failed.
    fn position(&mut self) -> Result<Vec<u8>, Failure>;

    /// source: goes on from where an earlier copy stood.
    ///
    /// # Errors
    /// The guest failed, or answered with an error.
    fn seek(&mut self, position: &[u8]) -> Result<(), Failure>;

    /// process: no more comes; what it emitted is in the answer. sink: everything is made durable.
    ///
    /// # Errors
    /// The guest failed, or answered with an error.
    fn end(&mut self) -> Result<&mut Answer, Failure>;

    /// Says goodbye. Nothing is called afterwards.
    ///
    /// # Errors
    /// The guest failed; its answers stand.
    fn close(&mut self) -> Result<(), Failure>;

    /// Between two calls: holds the lane to its CPU share, and answers what was measured since this was last asked.
    fn measure(&mut self) -> Measured;

    /// The lane is about to wait for input: nothing of the guest needs to be watched meanwhile.
    fn rest(&mut self);
}

/// What a thread that waits for a guest elsewhere sleeps at: both become readable.
#[derive(Debug, Clone, Copy)]
pub struct Wakers<'a> {
    /// When there may be an answer, or somebody used [`DirectSend::wake`].
    pub doorbell: BorrowedFd<'a>,
    /// When the guest's process has died.
    pub process: BorrowedFd<'a>,
}

/// A batch that a lane answers for, and its number in the inbox.
#[derive(Debug)]
pub struct InFlight {
    /// The records.
    pub batch: Batch,
    /// What [`Inbox::pop`](sage_batch::Inbox::pop) said; of no meaning for those that came through an direct_send.
    pub ticket: u64,
}

/// What a lane's guest used, beside what the lane's own thread did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Measured {
    /// CPU time that was used for the guest in other threads than the lane's.
    pub cpu: Duration,
    /// How long a CPU share held it back.
    pub throttled: Duration,
    /// Log bytes that were dropped.
    pub log_bytes_dropped: u64,
    /// Worker processes that died.
    pub workers_lost: u64,
    /// Worker processes that were started.
    pub workers_started: u64,
    /// How long that took in all, from asking for them to guests that had opened.
    pub worker_starts: Duration,
}
