use std::time::Duration;

use crate::batch::Batch;
use crate::sandbox::{Answer, Failure, Progress};

/// The guest of one lane, wherever it runs: in the lane's own thread, or in a worker process.
///
/// Batches are [handed over](LaneGuest::submit) and their answers [taken](LaneGuest::answer) in the same order, up to
/// [`LaneGuest::window`] of them under way at a time, so that a guest elsewhere need not wait for the lane between two calls. All other
/// calls are made while none is under way.
///
/// After a [`Failure`] the guest is dead and everything that was under way with it is gone; only [`LaneGuest::start`] makes sense. Its keyed
/// state is as after the last answer that was taken.
pub trait LaneGuest: Send {
    /// Starts a guest: the first, or a fresh one in place of one that failed.
    ///
    /// # Errors
    /// How the start failed. It may be tried again.
    fn start(&mut self) -> Result<(), Failure>;

    /// How many batches may be under way at a time; at least 1.
    fn window(&self) -> usize;

    /// Hands a batch over. `false`: there is no room for it until an answer was taken; never so while nothing is under way.
    fn submit(&mut self, batch: &Batch) -> bool;

    /// Waits for the answer to `batch`, the oldest that is under way.
    ///
    /// # Errors
    /// The guest failed, in this call or in handing it over.
    fn answer(&mut self, batch: &Batch) -> Result<&mut Answer, Failure>;

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

/// What a lane's guest used, beside what the lane's own thread did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Measured {
    /// CPU time of a guest that runs in another thread than the lane's.
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
