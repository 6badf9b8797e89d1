use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::{Batch, DirectSend, NotTaken};

/// Where batches wait for a consumer: bounded in bytes and in batches, filled by any number of producers.
///
/// **Who waits for whom.** A producer waits while the inbox is full and is woken when it has drained to half (waking for each
/// batch costs 20 µs a time and dominated in measurements). A consumer waits while it is empty and is woken by the next
/// batch, the last producer's leaving, or [`Inbox::cut`]. Pipelines are acyclic and every consumer takes from one inbox
/// whatever comes first, so the last consumer can always go on, and with it everybody before it.
///
/// **Quietly.** A batch that is [put in so](Inbox::put) wakes the consumer with others only: when four of them are there, when a producer
/// [says so](Inbox::announce) or has to wait for room. A consumer lets that happen to it for the first millisecond of a wait.
///
/// **Past it.** A consumer that has an [`DirectSend`] has producers use it while nothing waits here. One that finds it full waits there for a while rather than
/// leave its batch here, where it grows cold; after that batches wait here until the consumer has taken them all and [opens](Inbox::pop_or_open) again.
#[derive(Debug)]
pub struct Inbox {
    state: Mutex<State>,
    direct_send: OnceLock<Arc<dyn DirectSend>>,
    /// Batches wait here, or no more come: for a consumer that only wants to know whether to look.
    news: AtomicBool,
    /// How many producers wait at the direct_send.
    at_entrance: AtomicUsize,
    filled: Condvar,
    drained: Condvar,
    byte_credit: usize,
    batch_credit: usize,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Batch>,
    bytes: usize,
    producers: usize,
    waiting_producers: usize,
    waiting_consumers: usize,
    /// Of those, how many let some batches come coalesced.
    lenient_consumers: usize,
    /// Of those, how many were woken and have not come yet.
    woken_consumers: usize,
    tickets: u64,
    /// The direct_send may be used.
    open: bool,
    /// Whoever would wait here would wait for itself.
    one_thread: bool,
    cut: bool,
}

/// How many batches are reason enough to wake a consumer.
const BURST: usize = 4;
/// How long a producer waits at an direct_send that is full. Long against the time in which one that works on batches of 64 KiB has room again, other threads
/// on its CPU included; short for somebody whose bursts an inbox is to take up.
const AT_ENTRANCE: Duration = Duration::from_millis(10);
/// How long batches that were put in coalesced may go unseen.
const LENIENCE: Duration = Duration::from_millis(1);

/// What a consumer got.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "a batch is moved through, not kept; a box would be an allocation for each"
)]
pub enum Popped {
    /// A batch, and its number in this inbox (0, 1, 2, …).
    Batch(Batch, u64),
    /// Nothing came in the time given.
    Empty,
    /// No producer is left and nothing waits: there will never be more.
    End,
    /// The pipeline stopped.
    Cut,
}

/// The pipeline stopped: the batch was not taken, and comes back.
#[derive(Debug)]
pub struct Refused(pub Batch);

impl Inbox {
    /// An inbox that holds up to `byte_credit` bytes ([`Batch::weight`]) in up to `batch_credit` batches. A batch
    /// that is heavier than the whole credit is let into an empty inbox: whoever promises a hard bound keeps
    /// batches below it.
    #[must_use]
    pub fn new(byte_credit: usize, batch_credit: usize) -> Self {
        Self {
            state: Mutex::new(State::default()),
            direct_send: OnceLock::new(),
            news: AtomicBool::new(false),
            at_entrance: AtomicUsize::new(0),
            filled: Condvar::new(),
            drained: Condvar::new(),
            byte_credit,
            batch_credit: batch_credit.max(1),
        }
    }

    /// Announces a producer. All are announced before the first consumer looks, or it would see the end.
    pub fn join(&self) {
        self.lock().producers += 1;
    }

    /// A producer leaves; the last one's leaving is the end of input.
    pub fn leave(&self) {
        let mut state = self.lock();
        state.producers = state.producers.saturating_sub(1);
        if state.producers == 0 {
            self.filled.notify_all();
            self.news.store(true, Ordering::SeqCst);
            self.wake_at_entrance();
        }
    }

    /// How many producers there are.
    #[must_use]
    pub fn producers(&self) -> usize {
        self.lock().producers
    }

    /// The one producer and the consumer have one thread from now on: nobody waits here, and bounds are theirs to keep.
    pub fn never_wait(&self) {
        self.lock().one_thread = true;
    }

    /// Gives the consumer an direct_send, once; it is closed.
    pub fn set_entrance(&self, direct_send: Arc<dyn DirectSend>) {
        // A second one is not made: each inbox has one consumer that does so, once.
        let _ = self.direct_send.set(direct_send);
    }

    /// Whether the consumer has an direct_send.
    #[must_use]
    pub fn has_entrance(&self) -> bool {
        self.direct_send.get().is_some()
    }

    /// Nobody uses the direct_send from now on, until it is opened again.
    pub fn close_entrance(&self) {
        self.lock().open = false;
        self.drained.notify_all();
    }

    /// The consumer has worked on some of what came through the direct_send.
    pub fn entrance_drained(&self) {
        if self.at_entrance.load(Ordering::SeqCst) > 0 {
            // Whoever looked before waits by the time that the lock is free.
            drop(self.lock());
            self.drained.notify_all();
        }
    }

    /// Whether a look is worth its while: a batch waits here, or no more come.
    #[must_use]
    pub fn has_news(&self) -> bool {
        self.news.load(Ordering::SeqCst)
    }

    /// Puts a batch in; blocks while there is no room.
    ///
    /// # Errors
    /// The batch comes back when the inbox was cut.
    #[expect(clippy::result_large_err, reason = "the error is the batch, which was moved in just so")]
    pub fn push(&self, batch: Batch) -> Result<(), Refused> {
        self.put(batch, false, &mut Vec::new())
    }

    /// The same. `coalesced`: the producer will put in another one within moments, or [say](Inbox::announce) that it will not. `spare` is a buffer for an
    /// [`DirectSend`] to exchange for the batch's.
    ///
    /// # Errors
    /// As [`Inbox::push`].
    #[expect(clippy::result_large_err, reason = "as for `push`")]
    pub fn put(&self, batch: Batch, coalesced: bool, spare: &mut Vec<u8>) -> Result<(), Refused> {
        let state = self.lock();
        if !state.open {
            return self.leave_here(state, batch, coalesced);
        }
        let (state, batch) = match self.wait_at_entrance(state, batch, coalesced, spare) {
            Ok(()) => return Ok(()),
            Err(refused) => refused,
        };
        self.leave_here(state, batch, coalesced)
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

    /// Has the direct_send take a batch, once there is room; it comes back where it is to be left here.
    #[expect(clippy::result_large_err, reason = "as for `push`")]
    fn wait_at_entrance<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        mut batch: Batch,
        coalesced: bool,
        spare: &mut Vec<u8>,
    ) -> Result<(), (MutexGuard<'a, State>, Batch)> {
        let timeout = if state.one_thread { Duration::ZERO } else { AT_ENTRANCE };
        let mut waits: Option<Instant> = None;
        let taken = loop {
            let Some(direct_send) = self.direct_send.get().filter(|_| state.open && !state.cut) else {
                break Err(batch);
            };
            batch = match direct_send.take(batch, coalesced, spare) {
                Ok(()) => break Ok(()),
                Err(NotTaken::Closed(batch)) => break Err(batch),
                Err(NotTaken::Full(batch)) => batch,
            };
            let Some(since) = waits else {
                direct_send.announce();
                // Said before it is tried once more: either there is room now, or who makes some sees it.
                self.at_entrance.fetch_add(1, Ordering::SeqCst);
                waits = Some(Instant::now());
                continue;
            };
            let Some(left) = timeout.checked_sub(since.elapsed()).filter(|left| !left.is_zero()) else {
                break Err(batch);
            };
            state = self.drained.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
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
        batch: Batch,
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
        }
        if state.cut {
            return Err(Refused(batch));
        }
        // The consumer may have opened it while this producer waited for room.
        state.open = false;
        state.bytes += weight;
        state.queue.push_back(batch);
        self.news.store(true, Ordering::SeqCst);
        self.wake_at_entrance();
        if !coalesced || state.queue.len() >= BURST || state.waiting_consumers > state.lenient_consumers {
            self.wake_one(state);
        }
        Ok(())
    }

    /// The consumer looks here, if it would not anyway.
    fn wake_at_entrance(&self) {
        if let Some(direct_send) = self.direct_send.get() {
            direct_send.announce();
            direct_send.wake();
        }
    }

    fn wake_one(&self, mut state: MutexGuard<'_, State>) {
        if state.waiting_consumers > state.woken_consumers {
            state.woken_consumers += 1;
            // Whoever is woken wants the lock.
            drop(state);
            self.filled.notify_one();
        }
    }

    /// Takes the oldest batch; waits for one for as long as `timeout` (for ever if `None`).
    pub fn pop(&self, timeout: Option<Duration>) -> Popped {
        self.pop_leniently(timeout, LENIENCE)
    }

    /// The oldest batch, if one waits. Where none does, producers use the direct_send from now on; all that was taken from here must be on its way.
    pub fn pop_or_open(&self) -> Popped {
        let mut state = self.lock();
        state.open = state.queue.is_empty();
        match self.next(&mut state) {
            Some(next) => self.hand_out(state, next),
            None => Popped::Empty,
        }
    }

    fn pop_leniently(&self, timeout: Option<Duration>, lenience: Duration) -> Popped {
        let deadline = timeout.map(|p| Instant::now() + p);
        let mut lenience = Some(lenience);
        let mut state = self.lock();
        loop {
            if let Some(next) = self.next(&mut state) {
                return self.hand_out(state, next);
            }
            let wait = deadline.map(|d| d.saturating_duration_since(Instant::now()));
            if wait == Some(Duration::ZERO) {
                return Popped::Empty;
            }
            let lenience = std::mem::take(&mut lenience);
            state.waiting_consumers += 1;
            state.lenient_consumers += usize::from(lenience.is_some());
            state = match wait.into_iter().chain(lenience).min() {
                Some(wait) => self.filled.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0,
                None => self.filled.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
            state.waiting_consumers -= 1;
            state.lenient_consumers -= usize::from(lenience.is_some());
            // Who else was woken is not known: one wake-up too many, rather than one too few.
            state.woken_consumers = 0;
        }
    }

    /// What there is to be had now, and whether producers are to be told that there is room; `None` if there may be more later.
    fn next(&self, state: &mut State) -> Option<(Popped, bool)> {
        if state.cut {
            return Some((Popped::Cut, false));
        }
        let Some(batch) = state.queue.pop_front() else {
            return (state.producers == 0).then_some((Popped::End, false));
        };
        self.news.store(!state.queue.is_empty() || state.producers == 0, Ordering::SeqCst);
        state.bytes -= batch.weight();
        let ticket = state.tickets;
        state.tickets += 1;
        let low = state.bytes <= self.byte_credit / 2 && state.queue.len() <= self.batch_credit / 2;
        Some((Popped::Batch(batch, ticket), state.waiting_producers > 0 && low))
    }

    fn hand_out(&self, state: MutexGuard<'_, State>, (popped, wake): (Popped, bool)) -> Popped {
        // Whoever is woken wants the lock.
        drop(state);
        if wake {
            self.drained.notify_all();
        }
        popped
    }

    /// Stops the inbox at once: producers and consumers return. What waited is handed back, so that it can be counted.
    pub fn cut(&self) -> Vec<Batch> {
        let mut state = self.lock();
        state.cut = true;
        state.bytes = 0;
        let left = state.queue.drain(..).collect();
        self.news.store(true, Ordering::SeqCst);
        self.filled.notify_all();
        self.drained.notify_all();
        self.wake_at_entrance();
        left
    }

    /// Bytes waiting now, here and behind the direct_send.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.lock().bytes + self.direct_send.get().map_or(0, |direct_send| direct_send.bytes())
    }

    fn has_room(&self, state: &State, weight: usize) -> bool {
        state.queue.is_empty() || (state.bytes + weight <= self.byte_credit && state.queue.len() < self.batch_credit)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[path = "inbox_tests.rs"]
mod tests;
