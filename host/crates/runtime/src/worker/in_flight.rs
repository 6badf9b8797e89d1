use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::message::ask;
use crate::engine::InFlight;
use sage_batch::fields::FieldType;
use sage_batch::wire::{WireError, WireWriter, put_u32s, put_u64};
use sage_batch::{Batch, DirectSend, NotTaken};
use sage_plan::{Kind, RecordShape};
use sage_process::{Outgoing, ring};
use sage_sandbox::kept_bytes;

/// The batches in flight on a worker's lane, with the writing half of its link. The lane's own thread and the
/// threads that send to the lane share this value.
///
/// A sender writes its batch into the ring of requests on its own thread. The lane's thread reads the answers.
/// **Waiting**: no thread waits here. If the writing half is in use, a sender leaves its batch in the inbox.
///
/// If the answer replaces the payloads of a batch, the batch is written to the ring and its payload buffer is
/// [detached](sage_batch::Column::detach) at once. The payloads stay in the ring, which only the host can
/// write, until the answer is taken. If no answer comes, they are read back from the ring.
#[derive(Debug)]
pub(super) struct InFlightBatches {
    kind: Kind,
    /// The fields that the guest reads and gives, if its records go by field.
    shape: Option<RecordShape>,
    window: usize,
    out: Mutex<Option<Outgoing>>,
    sent: Mutex<VecDeque<Sent>>,
    /// The length of `sent`, and the total bytes of its payloads.
    in_flight: AtomicUsize,
    bytes: AtomicUsize,
    /// Calls that were sent without waking the worker. The worker is woken once for several calls, or when
    /// there is nothing more to send for now.
    quiet: AtomicU32,
    /// The first ring position that must not be overwritten, because its batch is not answered yet.
    kept_from: AtomicU64,
    /// The doorbell that wakes the lane's thread.
    doorbell: Mutex<Option<Arc<OwnedFd>>>,
}

/// A batch that was handed over.
#[derive(Debug)]
struct Sent {
    held: InFlight,
    bytes: usize,
    /// The ring position of its payloads, if the buffer was detached.
    payloads: Option<u64>,
    /// The ring position of the end of its message.
    end: u64,
}

/// Bytes before a batch: the kind of the request, the edge of the batch and its length.
const CALL_HEAD: usize = 24;
/// Maximum calls in a row that are sent without waking the worker.
const MOST_COALESCED: u32 = 3;

impl InFlightBatches {
    pub(super) fn new(kind: Kind, shape: Option<RecordShape>, window: usize) -> Self {
        Self {
            kind,
            shape,
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

    /// Starts writing batches with `out`.
    pub(super) fn begin(&self, out: Outgoing, doorbell: Arc<OwnedFd>) {
        *lock(&self.doorbell) = Some(doorbell);
        self.kept_from.store(out.head(), Ordering::Relaxed);
        *lock(&self.out) = Some(out);
    }

    /// Returns the writing half and stops writing.
    pub(super) fn stop(&self) -> Option<Outgoing> {
        lock(&self.out).take()
    }

    pub(super) fn count(&self) -> usize {
        self.in_flight.load(Ordering::SeqCst)
    }

    pub(super) fn has_room(&self) -> bool {
        self.count() < self.window
    }

    /// Writes a batch from the lane's own thread. Returns the batch if there is no room for it now.
    #[expect(clippy::result_large_err, reason = "the error is the batch itself, which was passed by value")]
    pub(super) fn hand_over(&self, held: InFlight) -> Result<(), InFlight> {
        match &mut *lock(&self.out) {
            Some(out) => self.put(out, held, true, None),
            None => Err(held),
        }
    }

    /// Adds a batch that is written in another way, or not at all because there is no guest.
    pub(super) fn note(&self, held: InFlight) {
        let bytes = held.batch.payloads().byte_len();
        self.push(Sent { held, bytes, payloads: None, end: self.kept_from.load(Ordering::Relaxed) });
    }

    /// Takes the oldest batch, whose answer is about to be read. The batch counts as in flight until it [was
    /// answered](InFlightBatches::answered).
    pub(super) fn oldest(&self) -> Option<Answering> {
        let sent = lock(&self.sent).pop_front()?;
        Some(Answering(sent))
    }

    /// Ends a batch whose answer was taken. If `whole` is set, its payloads are restored.
    pub(super) fn answered(&self, answering: Answering, whole: bool) -> InFlight {
        let Answering(mut sent) = answering;
        if whole && let Some(out) = &*lock(&self.out) {
            restore(&mut sent, out);
        }
        self.kept_from.store(sent.end, Ordering::Relaxed);
        self.done(&sent);
        sent.held
    }

    /// Takes all batches back, oldest first and with their payloads, after a failure of the guest or of its
    /// worker. `out` is the writing half that wrote them.
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
        let content = self.content(&held.batch);
        let len = content.len(&held.batch);
        if !self.has_room() || !self.fits(out, CALL_HEAD + len) {
            return Err(held);
        }
        let bytes = held.batch.payloads().byte_len();
        // A batch that fits is written completely, unless the worker moves its own numbers back. In that case
        // the worker gets a broken message, and is ended if it does not answer.
        let written = write_call(out, &held.batch, len, &content).is_ok();
        let end = out.head();
        let mut payloads = None;
        if written
            && matches!(self.kind, Kind::Map | Kind::FlatMap)
            && self.shape.is_none()
            && let Some(spare) = spare
        {
            // The payloads come last in the message and are padded to a multiple of 8.
            payloads = Some(end.wrapping_sub(bytes.next_multiple_of(8) as u64));
            held.batch.let_go_of_payloads(spare);
        }
        self.push(Sent { held, bytes, payloads, end });
        let before = self.quiet.load(Ordering::Relaxed);
        if coalesced && before < MOST_COALESCED {
            self.quiet.store(before + 1, Ordering::Relaxed);
            out.send_coalesced();
        } else {
            self.quiet.store(0, Ordering::Relaxed);
            out.send();
        }
        Ok(())
    }

    /// The part of a batch that the guest gets.
    pub(super) fn content(&self, batch: &Batch) -> Content {
        let whole = matches!(self.kind, Kind::Process | Kind::Window | Kind::Sink);
        match (&self.shape, batch.table()) {
            (Some(shape), Some(table)) => {
                let column = |field: &FieldType| table.schema().position(&field.name);
                let columns = shape.reads.fields().iter().filter_map(column).collect();
                if whole { Content::Rows { columns, kept: kept_bytes(shape, table) } } else { Content::Fields(columns) }
            }
            _ => Content::Bytes { whole },
        }
    }

    /// Returns `true` if `len` bytes can be written now without overwriting bytes that are still needed.
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

/// The part of a batch that a guest gets.
pub(super) enum Content {
    /// The payloads, or with `whole` the other columns too.
    Bytes { whole: bool },
    /// These columns of the table.
    Fields(Vec<usize>),
    /// These columns of the table with keys, timestamps and headers, and the bytes that an output of each record
    /// keeps.
    Rows { columns: Vec<usize>, kept: Vec<u32> },
}

impl Content {
    /// Bytes of the part on the wire.
    pub(super) fn len(&self, batch: &Batch) -> usize {
        match (self, batch.table()) {
            (Self::Fields(columns), Some(table)) => table.wire_len(columns.iter().copied()),
            (Self::Fields(_), None) => 0,
            (Self::Rows { columns, kept }, _) => {
                let numbers = 8 + size_of_val(kept.as_slice()).next_multiple_of(8);
                batch.wire_len_by_field(columns.iter().copied()) + numbers
            }
            (Self::Bytes { whole }, _) => batch.wire_len(*whole),
        }
    }
}

/// Writes a call for a batch whose content has `len` bytes.
pub(super) fn write_call(
    to: &mut impl WireWriter,
    batch: &Batch,
    len: usize,
    content: &Content,
) -> Result<(), WireError> {
    put_u64(to, ask::CALL)?;
    put_u64(to, batch.edge().into())?;
    put_u64(to, len as u64)?;
    match (content, batch.table()) {
        (Content::Fields(columns), Some(table)) => table.write(columns.iter().copied(), to),
        (Content::Fields(_), None) => Ok(()),
        (Content::Rows { columns, kept }, _) => {
            batch.write_by_field(columns.iter().copied(), to)?;
            put_u32s(to, kept)
        }
        (Content::Bytes { whole }, _) => batch.write(to, *whole),
    }
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
        self.put(out, InFlight::new(batch, 0), coalesced, Some(spare)).map_err(|InFlight { batch, .. }| {
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
