use std::collections::VecDeque;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Duration;

use super::field_reader::Unread;
use super::stopped::Stopped;
use sage_batch::{Batch, DirectSend};
use sage_sandbox::{Answer, Failure, LostWindow, Progress};

/// The guest of a lane. It runs in the lane's own thread or in a worker process.
///
/// Batches are [handed over](LaneGuest::hand_over), and their answers are [taken](LaneGuest::answer) in the
/// same order. As many batches may be in flight as the guest has room for, so that a guest in another process
/// need not wait for the lane between two calls. The guest keeps the batches until they are answered. All other
/// calls are made while no batch is in flight.
///
/// After a [`Failure`] the guest is dead, and all batches in flight are [returned](LaneGuest::take_back). Only
/// [`LaneGuest::start`] may be called besides that. The keyed state is that of the last answer that was taken.
pub trait LaneGuest: Send {
    /// Starts a guest: the first, or a fresh one that replaces a failed guest.
    ///
    /// # Errors
    /// The failure of the start. The start may be tried again.
    fn start(&mut self) -> Result<(), Failure>;

    /// Returns `true` if another batch may be handed over.
    fn has_room(&self) -> bool;

    /// The number of batches in flight.
    fn in_flight(&self) -> usize;

    /// Hands a batch over.
    ///
    /// # Errors
    /// The batch is returned if there is no room for it until an answer is taken. A guest with no batch in
    /// flight always has room.
    #[expect(clippy::result_large_err, reason = "the error is the batch itself, which was passed by value")]
    fn hand_over(&mut self, held: InFlight) -> Result<(), InFlight>;

    /// The guest as one to which other threads hand over batches; `None` if all batches go through the lane.
    fn direct(&mut self) -> Option<&mut dyn DirectGuest> {
        None
    }

    /// Waits for the answer to the oldest batch in flight, and returns both. `None` means that no batch is in
    /// flight.
    fn answer(&mut self) -> Option<(InFlight, Result<&mut Answer, Failure>)>;

    /// After a failure: returns the batches that were in flight behind the failed batch, oldest first.
    fn take_back(&mut self) -> VecDeque<InFlight>;

    /// source: asks for more records. The answer holds the emitted records.
    ///
    /// # Errors
    /// The guest failed, or answered with an error.
    fn next(&mut self, max_records: u32, max_bytes: u32) -> Result<(Progress, &mut Answer), Failure>;

    /// source: the current position.
    ///
    /// # Errors
    /// The guest failed.
    fn position(&mut self) -> Result<Vec<u8>, Failure>;

    /// source: continues from the position of an earlier copy.
    ///
    /// # Errors
    /// The guest failed, or answered with an error.
    fn seek(&mut self, position: &[u8]) -> Result<(), Failure>;

    /// process: announces the end of the input; the answer holds the emitted records. sink: makes all written
    /// records durable.
    ///
    /// # Errors
    /// The guest failed, or answered with an error.
    fn end(&mut self) -> Result<&mut Answer, Failure>;

    /// window: raises the watermark, and finishes up to `most` windows that are due. `true` means that more are due. The
    /// answer holds the emitted records.
    ///
    /// # Errors
    /// The guest failed. The windows are as before.
    fn advance(&mut self, watermark: i64, most: u32) -> Result<(bool, &mut Answer), Failure>;

    /// window, after a failure and before the next start: gives up the window that is finished first at this watermark.
    fn give_up_window(&mut self, watermark: i64) -> Option<LostWindow>;

    /// Closes the guest. No call follows.
    ///
    /// # Errors
    /// The guest failed; its answers remain valid.
    fn close(&mut self) -> Result<(), Failure>;

    /// Called between two calls: holds the lane to its CPU share, and returns the measurements since the last
    /// call of this function.
    fn measure(&mut self) -> Measured;

    /// The answer of a guest in the lane's own thread, whose buffers the lane may reclaim while it waits.
    fn resting_answer(&mut self) -> Option<&mut Answer> {
        None
    }

    /// process, between two starts: takes over keyed state of an earlier run.
    ///
    /// # Errors
    /// The memory of the instance has no room for it, or the bytes are no state.
    fn restore(&mut self, _state: &[u8]) -> Result<(), String> {
        Ok(())
    }

    /// process: from now on, notes which keys calls write, for [`LaneGuest::save`].
    fn note_changes(&mut self) {}

    /// process: passes its keyed state to `send` piece by piece: all of it, or what has changed since the last call.
    ///
    /// # Errors
    /// The errors of `send`.
    fn save(&mut self, _whole: bool, _send: &mut dyn FnMut(&[u8]) -> Result<(), Stopped>) -> Result<(), Stopped> {
        Ok(())
    }

    /// process: whether the guest does something when event time moves on. Such a guest gets all batches through its
    /// lane, and none behind a batch that moves event time on before its timers have fired.
    fn has_timers(&self) -> bool {
        false
    }

    /// Whether the guest must know of a watermark between these two before it sees later records. Only asked of a guest
    /// [with timers](LaneGuest::has_timers).
    fn waits_between(&self, _before: i64, _now: i64) -> bool {
        true
    }

    /// Declares that the lane is about to wait for input, so the guest needs no watching meanwhile.
    fn rest(&mut self);
}

/// A guest in another process to which other threads hand over batches directly, without its lane. The lane's
/// thread then only takes answers, and sleeps until one is available.
pub trait DirectGuest {
    /// The entrance for batches of other threads.
    fn direct_send(&self) -> Arc<dyn DirectSend>;

    /// Waits for at most `most`, until an answer may be available or another thread called
    /// [`DirectSend::wake`].
    ///
    /// # Errors
    /// The guest is lost although no batch is in flight.
    fn wait(&mut self, most: Duration) -> Result<(), Failure>;

    /// Returns `true` if [`LaneGuest::answer`] has a result whose beginning need not be waited for.
    fn is_answered(&mut self) -> bool;

    /// For a thread that waits for several guests: declares that the thread is about to sleep at the guests'
    /// [wakers](DirectGuest::wakers). `true` means that it must not sleep, because an answer is available. If
    /// `lightly` is set, coalesced answers need not wake the thread.
    fn arm(&mut self, lightly: bool) -> bool;

    /// Declares that the thread is awake. `died` says whether the guest's process has died. Returns `true` if
    /// the doorbell was rung.
    fn disarm(&mut self, died: bool) -> bool;

    /// The descriptors that wake an armed thread; `None` if the guest is not running.
    fn wakers(&self) -> Option<Wakers<'_>>;
}

/// The descriptors at which a thread sleeps while it waits for a guest in another process. Each becomes
/// readable.
#[derive(Debug, Clone, Copy)]
pub struct Wakers<'a> {
    /// Readable when there may be an answer, or when another thread called [`DirectSend::wake`].
    pub doorbell: BorrowedFd<'a>,
    /// Readable when the guest's process has died.
    pub process: BorrowedFd<'a>,
}

/// A batch in flight of a lane, with its number in the inbox.
#[derive(Debug)]
pub struct InFlight {
    /// The records.
    pub batch: Batch,
    /// The ticket from [`Inbox::pop`](sage_batch::Inbox::pop). Meaningless for batches that came through a
    /// direct send.
    pub ticket: u64,
    /// Records that came with these and did not get to the guest.
    pub(crate) unread: Option<Box<Unread>>,
}

impl InFlight {
    /// A batch all of whose records go to the guest.
    #[must_use]
    pub fn new(batch: Batch, ticket: u64) -> Self {
        Self { batch, ticket, unread: None }
    }
}

/// The resources that a lane's guest used, apart from the lane's own thread.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Measured {
    /// CPU time of threads other than the lane's that worked for the guest.
    pub cpu: Duration,
    /// Time for which a CPU share held the guest back.
    pub throttled: Duration,
    /// Log bytes that were dropped.
    pub log_bytes_dropped: u64,
    /// Worker processes that died.
    pub workers_lost: u64,
    /// Worker processes that were started.
    pub workers_started: u64,
    /// Total duration of these starts, each from the request to the opened guests.
    pub worker_starts: Duration,
}
