use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::message::ask;
use crate::engine::InFlight;
use sage_batch::wire::{WireError, WireWriter, put_u64};
use sage_batch::{Batch, DirectSend, NotTaken};
use sage_plan::Kind;
use sage_process::{Outgoing, ring};

/// The batches on their way through a worker's lane, and the writing half of the link there: what the lane's own thread and those that send to it share.
///
/// Whoever has a batch writes it into the ring of requests in its own thread; the lane's thread reads the answers. **Who waits for whom**: nobody waits here.
/// A sender that finds the writing half in use leaves its batch in the inbox.
///
/// A batch whose payloads its answer replaces is written to the ring and [lets them go](sage_batch::Column::detach) there and then. They stay in the ring, which nobody but
/// the host can write, until the answer was taken, and are read back if it never comes.
#[derive(Debug)]
pub(super) struct InFlightBatches {
    kind: Kind,
    window: usize,
    out: Mutex<Option<Outgoing>>,
    sent: Mutex<VecDeque<Sent>>,
    /// How many are in `sent`, and the bytes of their payloads.
    in_flight: AtomicUsize,
    bytes: AtomicUsize,
    /// Calls that were sent without waking the worker: it is woken for several, or when there is nothing more to send for now.
    quiet: AtomicU32,
    /// From here on the ring must not be written over: what was written there is not answered.
    kept_from: AtomicU64,
    /// Rung to have the lane's thread look up.
    doorbell: Mutex<Option<Arc<OwnedFd>>>,
}

/// A batch that was handed over.
#[derive(Debug)]
struct Sent {
    held: InFlight,
    bytes: usize,
    /// Where its payloads' bytes lie in the ring, if they were let go.
    payloads: Option<u64>,
    /// Where the message ends.
    end: u64,
}

/// What comes before a batch: that it is one, and its length.
const CALL_HEAD: usize = 16;
/// How many calls in a row may be sent without waking the worker.
const MOST_QUIET: u32 = 3;

impl InFlightBatches {
    pub(super) fn new(kind: Kind, window: usize) -> Self {
        Self {
            kind,
            window,
            out: Mutex::default(),
            sent: Mutex::default(),
            in_flight: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            quiet: AtomicU32::new(0),
            kept_from: AtomicU64::new(0),
            doorbell: Mutex::default(),
        }
    }

    /// From now on batches are written with this.
    pub(super) fn begin(&self, out: Outgoing, doorbell: Arc<OwnedFd>) {
        *lock(&self.doorbell) = Some(doorbell);
        self.kept_from.store(out.head(), Ordering::Relaxed);
        *lock(&self.out) = Some(out);
    }

    /// Gives the writing half back.
    pub(super) fn stop(&self) -> Option<Outgoing> {
        lock(&self.out).take()
    }

    pub(super) fn count(&self) -> usize {
        self.in_flight.load(Ordering::SeqCst)
    }

    pub(super) fn has_room(&self) -> bool {
        self.count() < self.window
    }

    /// Writes a batch from the lane's own thread. It comes back if there is no room for it now.
    #[expect(clippy::result_large_err, reason = "the error is the batch, which was moved in just so")]
    pub(super) fn hand_over(&self, held: InFlight) -> Result<(), InFlight> {
        match &mut *lock(&self.out) {
            Some(out) => self.put(out, held, true, None),
            None => Err(held),
        }
    }

    /// Notes a batch that is written otherwise, or not at all since there is no guest.
    pub(super) fn note(&self, held: InFlight) {
        let bytes = held.batch.payloads().byte_len();
        self.push(Sent { held, bytes, payloads: None, end: self.kept_from.load(Ordering::Relaxed) });
    }

    /// The oldest, whose answer is about to be read; it counts until it [was answered](InFlightBatches::answered).
    pub(super) fn oldest(&self) -> Option<Answering> {
        let sent = lock(&self.sent).pop_front()?;
        Some(Answering(sent))
    }

    /// An answer was taken. `whole`: the batch is needed as it was.
    pub(super) fn answered(&self, answering: Answering, whole: bool) -> InFlight {
        let Answering(mut sent) = answering;
        if whole && let Some(out) = &*lock(&self.out) {
            restore(&mut sent, out);
        }
        self.kept_from.store(sent.end, Ordering::Relaxed);
        self.done(&sent);
        sent.held
    }

    /// The guest failed, or its worker. `out` has written what is under way: all of it comes back as it was, the oldest first.
    pub(super) fn take_back(&self, answering: Option<Answering>, out: Option<&Outgoing>) -> VecDeque<InFlight> {
        let waiting = std::mem::take(&mut *lock(&self.sent));
        let all = answering.map(|Answering(sent)| sent).into_iter().chain(waiting);
        let restored = all.map(|mut sent| {
            if let Some(out) = out {
                restore(&mut sent, out);
            }
            self.done(&sent);
            sent.held
        });
        restored.collect()
    }

    #[expect(clippy::result_large_err, reason = "as for `hand_over`")]
    fn put(
        &self,
        out: &mut Outgoing,
        mut held: InFlight,
        coalesced: bool,
        spare: Option<&mut Vec<u8>>,
    ) -> Result<(), InFlight> {
        let whole = matches!(self.kind, Kind::Process | Kind::Sink);
        let len = held.batch.wire_len(whole);
        if !self.has_room() || !self.fits(out, CALL_HEAD + len) {
            return Err(held);
        }
        let bytes = held.batch.payloads().byte_len();
        // What fits is written, unless the worker takes its own numbers back: then it gets what it gets, and is ended if it does not answer.
        let written = write_call(out, &held.batch, len, whole).is_ok();
        let end = out.head();
        let mut payloads = None;
        if written
            && matches!(self.kind, Kind::Map | Kind::FlatMap)
            && let Some(spare) = spare
        {
            // They come last, and are filled up to a multiple of 8.
            payloads = Some(end.wrapping_sub(bytes.next_multiple_of(8) as u64));
            held.batch.let_go_of_payloads(spare);
        }
        self.push(Sent { held, bytes, payloads, end });
        let before = self.quiet.load(Ordering::Relaxed);
        if coalesced && before < MOST_QUIET {
            self.quiet.store(before + 1, Ordering::Relaxed);
            out.send_quietly();
        } else {
            self.quiet.store(0, Ordering::Relaxed);
            out.send();
        }
        Ok(())
    }

    /// Whether so much can be written now, over nothing that is needed.
    fn fits(&self, out: &Outgoing, len: usize) -> bool {
        let kept = out.head().wrapping_sub(self.kept_from.load(Ordering::Relaxed));
        let room = out.room().unwrap_or(0).min(sage_process::CAPACITY.saturating_sub(kept));
        len as u64 <= room
    }

    fn push(&self, sent: Sent) {
        self.bytes.fetch_add(sent.bytes, Ordering::Relaxed);
        lock(&self.sent).push_back(sent);
        self.in_flight.fetch_add(1, Ordering::SeqCst);
    }

    fn done(&self, sent: &Sent) {
        self.bytes.fetch_sub(sent.bytes, Ordering::Relaxed);
        self.in_flight.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A batch whose answer is being read.
pub(super) struct Answering(Sent);

impl Answering {
    pub(super) fn batch(&self) -> &Batch {
        &self.0.held.batch
    }
}

/// Writes a call over a batch of `len` bytes.
pub(super) fn write_call(to: &mut impl WireWriter, batch: &Batch, len: usize, whole: bool) -> Result<(), WireError> {
    put_u64(to, ask::CALL)?;
    put_u64(to, len as u64)?;
    batch.write(to, whole)
}

fn restore(sent: &mut Sent, out: &Outgoing) {
    if let Some(position) = sent.payloads.take() {
        let back = sent.held.batch.payloads_come_back(|bytes, len| out.read_back(position, len, bytes));
        debug_assert_eq!(back, Ok(()), "what was written can be read");
    }
}

impl DirectSend for InFlightBatches {
    fn take(&self, batch: Batch, coalesced: bool, spare: &mut Vec<u8>) -> Result<(), NotTaken> {
        let Ok(mut out) = self.out.try_lock() else { return Err(NotTaken::Closed(batch)) };
        let Some(out) = &mut *out else { return Err(NotTaken::Closed(batch)) };
        self.put(out, InFlight { batch, ticket: 0 }, coalesced, Some(spare)).map_err(|InFlight { batch, .. }| {
            if self.count() > 0 { NotTaken::Full(batch) } else { NotTaken::Closed(batch) }
        })
    }

    fn announce(&self) {
        if let Some(out) = &*lock(&self.out) {
            out.announce();
        }
    }

    fn wake(&self) {
        if self.count() == 0
            && let Some(doorbell) = &*lock(&self.doorbell)
        {
            ring(doorbell);
        }
    }

    fn is_low(&self) -> bool {
        self.count() <= self.window / 2
    }

    fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[path = "in_flight_tests.rs"]
mod tests;
