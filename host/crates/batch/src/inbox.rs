use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::inbox_state::State;
use super::{Batch, DirectSend, NotTaken, Popped, Producer, Refused, SharedRoom};

/// A queue of batches for a consumer, bounded in bytes and in batches, and filled by any number of producers.
///
/// **Waiting and waking.** A producer waits while the inbox is full. When the inbox has drained to half, as many
/// producers are woken as there is room for (a wake-up costs 20 µs; one for each batch, or of a thousand producers
/// for the room of sixty, dominated in measurements). A consumer waits while the inbox is empty. The next batch, the
/// leaving of the last producer, or [`Inbox::cut`] wakes it. Pipelines are acyclic, and every consumer takes
/// batches from one inbox in their order. So the last consumer can always go on, and with it every stage before it.
///
/// **Coalesced wake-ups.** A batch that is [put in coalesced](Inbox::put) wakes the consumer together with
/// others: when eight batches wait, when a producer [announces them](Inbox::announce), or when a producer has to
/// wait for room. A consumer accepts this delay only for the first millisecond of a wait, and only if the last batch
/// was put in coalesced: else the timer of that millisecond would wake it for nothing.
///
/// **Direct send.** If the consumer has a [`DirectSend`], producers use it while no batch waits in the inbox. A
/// producer that finds it full waits for a while before it puts its batch here, because a waiting batch leaves
/// the CPU's cache. From then on batches wait here until the consumer has taken them all and
/// [opens](Inbox::pop_or_open) the direct send again.
///
/// **Epochs.** A producer [marks](Inbox::mark) an epoch when it has sent everything that belongs to it, and sends
/// nothing more until the epoch is over. When all producers have marked it or left, and no batch waits, each consumer
/// learns of it once ([`Popped::Mark`]). A mark has no weight, and nothing waits behind it.
///
/// **Event time.** A batch comes with the watermark of its producer, and leaves with that of all producers together,
/// in the order in which batches come in: here is the only place that all of them pass, also those of the direct send.
/// A producer without a batch [advances](Inbox::advance) its watermark alone. That is no batch: it goes with the last
/// batch that waits, or, if none does, is told by itself ([`Popped::Watermark`]). So a watermark overtakes no record.
#[derive(Debug)]
pub struct Inbox {
    state: Mutex<State>,
    direct_send: OnceLock<Arc<dyn DirectSend>>,
    /// Set while batches wait, or when no more will come. A consumer can check it without the lock.
    pub(super) news: AtomicBool,
    /// Number of producers that wait at the direct send.
    at_entrance: AtomicUsize,
    filled: Condvar,
    /// Wakes producers that wait for room in the queue.
    drained: Condvar,
    /// Wakes producers that wait at the direct send.
    entrance: Condvar,
    byte_credit: usize,
    batch_credit: usize,
    /// Counts the batches behind the first one, together with those of other inboxes.
    room: Option<Arc<SharedRoom>>,
}

/// Number of waiting batches at which a consumer is woken. With 4, a consumer that shares its CPU with the sender was
/// woken two or three times for a run of eight batches, and slept in between.
const BURST: usize = 8;
/// Longest time that a producer waits at a full direct send. Long compared with the time that a consumer of 64
/// KiB batches needs to make room, even with other threads on its CPU. Short for a producer that sends bursts,
/// which the inbox should absorb.
const AT_ENTRANCE: Duration = Duration::from_millis(10);
/// Longest time for which coalesced batches may go unnoticed.
const LENIENCE: Duration = Duration::from_millis(1);

impl Inbox {
    /// An inbox that holds up to `byte_credit` bytes ([`Batch::weight`]) in up to `batch_credit` batches. A
    /// batch that is heavier than the whole credit is accepted if the inbox is empty. A caller that promises a
    /// hard bound must keep its batches below the credit.
    #[must_use]
    pub fn new(byte_credit: usize, batch_credit: usize) -> Self {
        Self {
            state: Mutex::new(State::default()),
            direct_send: OnceLock::new(),
            news: AtomicBool::new(false),
            at_entrance: AtomicUsize::new(0),
            filled: Condvar::new(),
            drained: Condvar::new(),
            entrance: Condvar::new(),
            byte_credit,
            batch_credit: batch_credit.max(1),
            room: None,
        }
    }

    /// The same inbox, whose batches are counted in `room`. Senders must [wait](SharedRoom::wait) there themselves.
    #[must_use]
    pub fn sharing(self, room: Arc<SharedRoom>) -> Self {
        Self { room: Some(room), ..self }
    }

    /// Registers a producer. All producers must be registered before the first consumer takes a batch.
    /// Otherwise the consumer would see the end.
    pub fn join(&self) -> Producer {
        let mut state = self.lock();
        state.producers += 1;
        Producer(state.watermarks.join())
    }

    /// Registers a sender that is a part of a producer: the watermark of one of them holds for all.
    pub fn join_as(&self, producer: Producer) {
        let mut state = self.lock();
        state.producers += 1;
        state.watermarks.join_as(producer.0);
    }

    /// Removes a producer. When the last producer leaves, the input ends.
    pub fn leave(&self, producer: Producer) {
        let mut state = self.lock();
        state.producers = state.producers.saturating_sub(1);
        let before = state.watermarks.current();
        let now = state.watermarks.leave(producer.0);
        if state.producers == 0 || state.is_marked() {
            self.tell_all();
        }
        if state.producers > 0 && state.is_timed && now != before {
            self.rise(state, now);
        }
    }

    /// Declares that the producer has sent everything of this epoch, and sends nothing more until it is over. Each
    /// producer marks each epoch once, in order.
    pub fn mark(&self, epoch: u64) {
        let mut state = self.lock();
        if state.epoch < epoch {
            (state.epoch, state.marked) = (epoch, 0);
        }
        state.marked += 1;
        if state.is_marked() {
            self.tell_all();
        }
    }

    /// Wakes every consumer, because no batch comes for now. The caller holds the lock.
    fn tell_all(&self) {
        self.filled.notify_all();
        self.news.store(true, Ordering::SeqCst);
        self.wake_at_entrance();
    }

    /// Number of producers.
    #[must_use]
    pub fn producers(&self) -> usize {
        self.lock().producers
    }

    /// From now on the only producer and the consumer share one thread. No call waits any more, and the caller
    /// must keep the bounds.
    pub fn never_wait(&self) {
        self.lock().one_thread = true;
    }

    /// Sets the consumer's direct send, once. The direct send starts closed.
    pub fn set_direct_send(&self, direct_send: Arc<dyn DirectSend>) {
        // A second direct send cannot occur: each inbox has one consumer, which calls this once.
        let _ = self.direct_send.set(direct_send);
    }

    /// Whether the consumer has a direct send.
    #[must_use]
    pub fn has_direct_send(&self) -> bool {
        self.direct_send.get().is_some()
    }

    /// Closes the direct send until it is opened again.
    pub fn close_entrance(&self) {
        self.lock().open = false;
        self.entrance.notify_all();
    }

    /// Tells waiting producers that the consumer has processed batches from the direct send.
    pub fn entrance_drained(&self) {
        if self.at_entrance.load(Ordering::SeqCst) > 0 {
            // After the lock is free, every producer that checked before is already waiting.
            drop(self.lock());
            self.entrance.notify_all();
        }
    }

    /// Whether a check is worthwhile: a batch waits here, or no more will come.
    #[must_use]
    pub fn has_news(&self) -> bool {
        self.news.load(Ordering::SeqCst)
    }

    /// Puts a batch in. Blocks while there is no room.
    ///
    /// # Errors
    /// The inbox was cut. The batch comes back.
    #[expect(clippy::result_large_err, reason = "the error is the batch itself, which was passed by value too")]
    pub fn push(&self, producer: Producer, batch: Batch) -> Result<(), Refused> {
        self.put(producer, batch, false, &mut Vec::new())
    }

    /// As [`Inbox::push`]. `coalesced`: within moments, the producer will put in another batch or
    /// [announce](Inbox::announce) that it will not. `spare` is a buffer that a [`DirectSend`] may exchange for
    /// the batch's buffer.
    ///
    /// # Errors
    /// As [`Inbox::push`].
    #[expect(clippy::result_large_err, reason = "as for `push`")]
    pub fn put(&self, producer: Producer, batch: Batch, coalesced: bool, spare: &mut Vec<u8>) -> Result<(), Refused> {
        let state = self.lock();
        if !state.open {
            return self.leave_here(state, producer, batch, coalesced);
        }
        let (state, batch) = match self.wait_at_entrance(state, producer, batch, coalesced, spare) {
            Ok(()) => return Ok(()),
            Err(refused) => refused,
        };
        self.leave_here(state, producer, batch, coalesced)
    }

    /// Declares that several batches will come in quick succession behind the last one: a consumer may wait for those
    /// that are put in coalesced.
    pub fn expect_more(&self) {
        self.lock().coalesced = true;
    }

    /// Wakes the consumer if batches wait.
    pub fn announce(&self) {
        if let Some(direct_send) = self.direct_send.get() {
            direct_send.announce();
        }
        let state = self.lock();
        if !state.queue.is_empty() {
            self.wake_one(state);
        }
    }

    /// Sends a batch through the direct send, as soon as there is room. The batch comes back if it must wait in
    /// the inbox.
    #[expect(clippy::result_large_err, reason = "as for `push`")]
    fn wait_at_entrance<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        producer: Producer,
        mut batch: Batch,
        coalesced: bool,
        spare: &mut Vec<u8>,
    ) -> Result<(), (MutexGuard<'a, State>, Batch)> {
        let own = batch.watermark();
        let timeout = if state.one_thread { Duration::ZERO } else { AT_ENTRANCE };
        let mut waits: Option<Instant> = None;
        let taken = loop {
            let Some(direct_send) = self.direct_send.get().filter(|_| state.open && !state.cut) else {
                break Err(batch);
            };
            let before = state.stamp(producer, &mut batch);
            let (mut refused, is_closed) = match direct_send.take(batch, coalesced, spare) {
                Ok(()) => {
                    if state.risen.take().is_some() {
                        // The batch tells it.
                        self.news.store(state.producers == 0 || state.has_news(), Ordering::SeqCst);
                    }
                    break Ok(());
                }
                Err(NotTaken::Closed(batch)) => (batch, true),
                Err(NotTaken::Full(batch)) => (batch, false),
            };
            state.take_back(producer, &mut refused, own, before);
            batch = refused;
            if is_closed {
                break Err(batch);
            }
            let Some(since) = waits else {
                direct_send.announce();
                // The count is raised before the next try: either there is room now, or the consumer that makes
                // room sees the count.
                self.at_entrance.fetch_add(1, Ordering::SeqCst);
                waits = Some(Instant::now());
                continue;
            };
            let Some(left) = timeout.checked_sub(since.elapsed()).filter(|left| !left.is_zero()) else {
                break Err(batch);
            };
            state = self.entrance.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        };
        if waits.is_some() {
            self.at_entrance.fetch_sub(1, Ordering::SeqCst);
        }
        taken.map_err(|batch| {
            state.open = false;
            (state, batch)
        })
    }

    #[expect(clippy::result_large_err, reason = "as for `push`")]
    fn leave_here<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        producer: Producer,
        mut batch: Batch,
        coalesced: bool,
    ) -> Result<(), Refused> {
        let weight = batch.weight();
        while !state.cut && !state.one_thread && !self.has_room(&state, weight) {
            if state.waiting_consumers > state.woken_consumers {
                self.wake_one(state);
                state = self.lock();
                continue;
            }
            state.waiting_producers += 1;
            state = self.drained.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.waiting_producers -= 1;
            // After a spurious wake-up the count is too low, and one wake-up is superfluous. None is missing.
            state.woken_producers = state.woken_producers.saturating_sub(1);
        }
        if state.cut {
            return Err(Refused(batch));
        }
        // The consumer may have opened the direct send while this producer waited for room.
        state.open = false;
        state.coalesced = coalesced;
        state.stamp(producer, &mut batch);
        state.risen = None;
        state.bytes += weight;
        if let Some(room) = self.room.as_ref().filter(|_| !state.queue.is_empty()) {
            room.add(weight);
        }
        state.queue.push_back(batch);
        self.news.store(true, Ordering::SeqCst);
        self.wake_at_entrance();
        if !coalesced || state.queue.len() >= BURST || state.waiting_consumers > state.lenient_consumers {
            self.wake_one(state);
        }
        Ok(())
    }

    /// Makes the consumer check this inbox.
    pub(super) fn wake_at_entrance(&self) {
        if let Some(direct_send) = self.direct_send.get() {
            direct_send.announce();
            direct_send.wake();
        }
    }

    pub(super) fn wake_one(&self, mut state: MutexGuard<'_, State>) {
        if state.waiting_consumers > state.woken_consumers {
            state.woken_consumers += 1;
            // The woken consumer needs the lock.
            drop(state);
            self.filled.notify_one();
        }
    }

    /// Takes the oldest batch. Waits for a batch for at most `timeout` (for ever if `None`), or until an epoch after
    /// `seen`, the last one that this consumer knows, is marked.
    pub fn pop(&self, timeout: Option<Duration>, seen: u64) -> Popped {
        self.pop_leniently(timeout, LENIENCE, seen)
    }

    /// Takes the oldest batch, if one waits. If none waits, opens the direct send for producers. The caller
    /// must have passed on all batches that it took from here before. `seen` as in [`Inbox::pop`].
    pub fn pop_or_open(&self, seen: u64) -> Popped {
        let mut state = self.lock();
        // What comes through the direct send is behind a watermark that is taken here.
        state.open = state.queue.is_empty() && state.risen.is_none();
        match self.next(&mut state, seen) {
            Some(next) => self.hand_out(state, next),
            None => Popped::Empty,
        }
    }

    fn pop_leniently(&self, timeout: Option<Duration>, lenience: Duration, seen: u64) -> Popped {
        let deadline = timeout.map(|p| Instant::now() + p);
        let mut lenience = Some(lenience);
        let mut state = self.lock();
        loop {
            if let Some(next) = self.next(&mut state, seen) {
                return self.hand_out(state, next);
            }
            let wait = deadline.map(|d| d.saturating_duration_since(Instant::now()));
            if wait == Some(Duration::ZERO) {
                return Popped::Empty;
            }
            let coalesced = std::mem::take(&mut state.coalesced);
            let lenience = std::mem::take(&mut lenience).filter(|_| coalesced);
            state.waiting_consumers += 1;
            state.lenient_consumers += usize::from(lenience.is_some());
            state = match wait.into_iter().chain(lenience).min() {
                Some(wait) => self.filled.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0,
                None => self.filled.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
            state.waiting_consumers -= 1;
            state.lenient_consumers -= usize::from(lenience.is_some());
            // The other woken consumers are unknown. With a count of 0, one wake-up may be superfluous, but
            // none is missing.
            state.woken_consumers = 0;
        }
    }

    /// The next result, and the number of waiting producers to wake because there is room; `None` if more batches
    /// may come later.
    fn next(&self, state: &mut State, seen: u64) -> Option<(Popped, usize)> {
        if state.cut {
            return Some((Popped::Cut, 0));
        }
        let Some(batch) = state.queue.pop_front() else {
            if let Some(risen) = state.risen.take() {
                self.news.store(state.producers == 0 || state.has_news(), Ordering::SeqCst);
                let ticket = state.tickets;
                state.tickets += 1;
                return Some((Popped::Watermark(risen, ticket), 0));
            }
            if state.producers == 0 {
                return Some((Popped::End, 0));
            }
            if !state.is_marked() || state.epoch <= seen {
                return None;
            }
            state.told = state.epoch;
            self.news.store(false, Ordering::SeqCst);
            return Some((Popped::Mark(state.epoch), 0));
        };
        self.news.store(!state.queue.is_empty() || state.producers == 0 || state.has_news(), Ordering::SeqCst);
        let weight = batch.weight();
        state.bytes -= weight;
        if let (Some(room), Some(first)) = (&self.room, state.queue.front()) {
            room.remove(first.weight());
        }
        let ticket = state.tickets;
        state.tickets += 1;
        let woken = self.producers_to_wake(state, weight);
        state.woken_producers += woken;
        Some((Popped::Batch(batch, ticket), woken))
    }

    /// Number of producers for whose batches there is room, if they weigh as much as the last batch. A producer that
    /// finds no room waits again, and the batches before it wake it: the batch that leaves the inbox empty wakes at
    /// least one.
    fn producers_to_wake(&self, state: &State, weight: usize) -> usize {
        let asleep = state.waiting_producers.saturating_sub(state.woken_producers);
        let low = state.bytes <= self.byte_credit / 2 && state.queue.len() <= self.batch_credit / 2;
        if asleep == 0 || !low {
            return 0;
        }
        let by_bytes = (self.byte_credit - state.bytes) / weight.max(1);
        let room = by_bytes.min(self.batch_credit - state.queue.len()).max(1);
        room.saturating_sub(state.woken_producers).min(asleep)
    }

    fn hand_out(&self, state: MutexGuard<'_, State>, (popped, woken): (Popped, usize)) -> Popped {
        // The woken producers need the lock.
        drop(state);
        for _ in 0..woken {
            self.drained.notify_one();
        }
        popped
    }

    /// Stops the inbox at once: waiting producers and consumers return. The batches that waited are returned,
    /// so that the caller can count them.
    pub fn cut(&self) -> Vec<Batch> {
        let mut state = self.lock();
        state.cut = true;
        state.bytes = 0;
        let left: Vec<Batch> = state.queue.drain(..).collect();
        if let Some(room) = &self.room {
            room.remove(left.iter().skip(1).map(Batch::weight).sum());
            room.cut();
        }
        self.news.store(true, Ordering::SeqCst);
        self.filled.notify_all();
        self.drained.notify_all();
        self.entrance.notify_all();
        self.wake_at_entrance();
        left
    }

    /// Bytes that wait now, here and behind the direct send.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.lock().bytes + self.direct_send.get().map_or(0, |direct_send| direct_send.bytes())
    }

    fn has_room(&self, state: &State, weight: usize) -> bool {
        state.queue.is_empty() || (state.bytes + weight <= self.byte_credit && state.queue.len() < self.batch_credit)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[path = "inbox_tests.rs"]
mod tests;
