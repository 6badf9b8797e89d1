use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Batch;

/// Where batches wait for a consumer: bounded in bytes and in batches, filled by any number of producers.
///
/// **Who waits for whom.** A producer waits while the inbox is full and is woken when it has drained to half (waking for each
/// batch costs 20 µs a time and dominated in measurements). A consumer waits while it is empty and is woken by the next
/// batch, the last producer's leaving, or [`Inbox::cut`]. Pipelines are acyclic and every consumer takes from one inbox
/// whatever comes first, so the last consumer can always go on, and with it everybody before it.
///
/// **Quietly.** A batch that is [put in so](Inbox::push_quietly) wakes the consumer with others only: when four of them are there, when a producer
/// [says so](Inbox::announce) or has to wait for room. A consumer lets that happen to it for the first millisecond of a wait.
#[derive(Debug)]
pub struct Inbox {
    state: Mutex<State>,
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
    /// Of those, how many let some batches come quietly.
    lenient_consumers: usize,
    /// Of those, how many were woken and have not come yet.
    woken_consumers: usize,
    tickets: u64,
    cut: bool,
}

/// How many batches are reason enough to wake a consumer.
const BURST: usize = 4;
/// How long batches that were put in quietly may go unseen.
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
        }
    }

    /// Puts a batch in; blocks while there is no room.
    ///
    /// # Errors
    /// The batch comes back when the inbox was cut.
    #[expect(clippy::result_large_err, reason = "the error is the batch, which was moved in just so")]
    pub fn push(&self, batch: Batch) -> Result<(), Refused> {
        self.put(batch, false)
    }

    /// The same, for a producer that will put in another one within moments, or [says](Inbox::announce) that it will not.
    ///
    /// # Errors
    /// As [`Inbox::push`].
    #[expect(clippy::result_large_err, reason = "as for `push`")]
    pub fn push_quietly(&self, batch: Batch) -> Result<(), Refused> {
        self.put(batch, true)
    }

    /// Wakes the consumer if batches wait.
    pub fn announce(&self) {
        let state = self.lock();
        if !state.queue.is_empty() {
            self.wake_one(state);
        }
    }

    #[expect(clippy::result_large_err, reason = "as for `push`")]
    fn put(&self, batch: Batch, quietly: bool) -> Result<(), Refused> {
        let weight = batch.weight();
        let mut state = self.lock();
        while !state.cut && !self.has_room(&state, weight) {
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
        state.bytes += weight;
        state.queue.push_back(batch);
        if !quietly || state.queue.len() >= BURST || state.waiting_consumers > state.lenient_consumers {
            self.wake_one(state);
        }
        Ok(())
    }

    fn wake_one(&self, mut state: MutexGuard<'_, State>) {
        if state.waiting_consumers > state.woken_consumers {
            state.woken_consumers += 1;
            // Whoever is woken wants the lock.
            drop(state);
            self.filled.notify_one();
        }
    }

    /// Takes the oldest batch; waits for one for as long as `patience` (for ever if `None`).
    pub fn pop(&self, patience: Option<Duration>) -> Popped {
        self.pop_leniently(patience, LENIENCE)
    }

    fn pop_leniently(&self, patience: Option<Duration>, lenience: Duration) -> Popped {
        let deadline = patience.map(|p| Instant::now() + p);
        let mut lenience = Some(lenience);
        let mut state = self.lock();
        loop {
            if state.cut {
                return Popped::Cut;
            }
            if let Some(batch) = state.queue.pop_front() {
                state.bytes -= batch.weight();
                let ticket = state.tickets;
                state.tickets += 1;
                let low = state.bytes <= self.byte_credit / 2 && state.queue.len() <= self.batch_credit / 2;
                let wake = state.waiting_producers > 0 && low;
                drop(state);
                if wake {
                    self.drained.notify_all();
                }
                return Popped::Batch(batch, ticket);
            }
            if state.producers == 0 {
                return Popped::End;
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

    /// Stops the inbox at once: producers and consumers return. What waited is handed back, so that it can be counted.
    pub fn cut(&self) -> Vec<Batch> {
        let mut state = self.lock();
        state.cut = true;
        state.bytes = 0;
        let left = state.queue.drain(..).collect();
        self.filled.notify_all();
        self.drained.notify_all();
        left
    }

    /// Bytes waiting now.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.lock().bytes
    }

    fn has_room(&self, state: &State, weight: usize) -> bool {
        state.queue.is_empty() || (state.bytes + weight <= self.byte_credit && state.queue.len() < self.batch_credit)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use super::*;
    use crate::batch::{Origin, Record};

    fn batch(payload: &[u8]) -> Batch {
        let mut batch = Batch::new();
        assert!(batch.push(Record::of(payload, Origin::NONE)));
        batch
    }

    #[test]
    fn batches_come_out_in_order_and_then_the_end() {
        let inbox = Inbox::new(1 << 20, 8);
        inbox.join();
        inbox.push(batch(b"a")).unwrap();
        inbox.push(batch(b"b")).unwrap();
        inbox.leave();
        for (expected, number) in [(b"a", 0), (b"b", 1)] {
            let Popped::Batch(found, ticket) = inbox.pop(None) else { panic!("a batch") };
            assert_eq!((found.payloads().get(0), ticket), (Some(&expected[..]), number));
        }
        assert!(matches!(inbox.pop(None), Popped::End));
    }

    #[test]
    fn a_full_inbox_holds_its_producer_until_the_consumer_drains_it() {
        let inbox = Arc::new(Inbox::new(1 << 20, 2));
        inbox.join();
        let producer = thread::spawn({
            let inbox = Arc::clone(&inbox);
            move || {
                for _ in 0..1000 {
                    inbox.push(batch(b"x")).unwrap();
                    assert!(inbox.bytes() <= 2 * batch(b"x").weight());
                }
                inbox.leave();
            }
        });
        let mut seen = 0;
        while let Popped::Batch(..) = inbox.pop(None) {
            seen += 1;
        }
        producer.join().unwrap();
        assert_eq!(seen, 1000);
    }

    #[test]
    fn a_batch_heavier_than_the_credit_passes_through_an_empty_inbox() {
        let inbox = Inbox::new(8, 8);
        inbox.join();
        inbox.push(batch(&[0; 100])).unwrap();
        assert!(matches!(inbox.pop(None), Popped::Batch(..)));
    }

    #[test]
    fn batches_that_were_put_in_quietly_are_seen_though_nobody_says_so() {
        let inbox = Arc::new(Inbox::new(1 << 20, 100));
        inbox.join();
        let consumer = thread::spawn({
            let inbox = Arc::clone(&inbox);
            move || (0..200).filter(|_| matches!(inbox.pop(None), Popped::Batch(..))).count()
        });
        for number in 0..200 {
            inbox.push_quietly(batch(b"x")).unwrap();
            if number % 7 == 0 {
                // The consumer has taken all by now, and sleeps lightly or deeply.
                thread::sleep(Duration::from_micros(400 * (number % 5)));
            }
        }
        assert_eq!(consumer.join().unwrap(), 200);
    }

    #[test]
    fn what_fills_the_inbox_or_is_announced_wakes_who_sleeps() {
        // A lenience that never ends would leave these hanging, if the waking were missing.
        for credit in [1, 2, BURST, 2 * BURST] {
            let inbox = Arc::new(Inbox::new(1 << 20, credit));
            inbox.join();
            let consumer = thread::spawn({
                let inbox = Arc::clone(&inbox);
                move || {
                    std::iter::from_fn(|| {
                        matches!(inbox.pop_leniently(None, Duration::MAX), Popped::Batch(..)).then_some(())
                    })
                    .count()
                }
            });
            for _ in 0..100 {
                inbox.push_quietly(batch(b"x")).unwrap();
            }
            inbox.announce();
            inbox.leave();
            assert_eq!(consumer.join().unwrap(), 100, "credit {credit}");
        }
    }

    #[test]
    fn cutting_hands_back_what_waited_and_refuses_what_comes() {
        let inbox = Inbox::new(1 << 20, 8);
        inbox.join();
        inbox.push(batch(b"a")).unwrap();
        assert_eq!(inbox.cut().len(), 1);
        assert!(inbox.push(batch(b"b")).is_err());
        assert!(matches!(inbox.pop(None), Popped::Cut));
    }
}
