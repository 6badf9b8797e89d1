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
    tickets: u64,
    cut: bool,
}

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
        let weight = batch.weight();
        let mut state = self.lock();
        while !state.cut && !self.has_room(&state, weight) {
            state.waiting_producers += 1;
            state = self.drained.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.waiting_producers -= 1;
        }
        if state.cut {
            return Err(Refused(batch));
        }
        state.bytes += weight;
        state.queue.push_back(batch);
        if state.waiting_consumers > 0 {
            self.filled.notify_one();
        }
        Ok(())
    }

    /// Takes the oldest batch; waits for one for as long as `patience` (for ever if `None`).
    pub fn pop(&self, patience: Option<Duration>) -> Popped {
        let deadline = patience.map(|p| Instant::now() + p);
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
                if state.waiting_producers > 0 && low {
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
            state.waiting_consumers += 1;
            state = match wait {
                Some(wait) => self.filled.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0,
                None => self.filled.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
            state.waiting_consumers -= 1;
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
    fn cutting_hands_back_what_waited_and_refuses_what_comes() {
        let inbox = Inbox::new(1 << 20, 8);
        inbox.join();
        inbox.push(batch(b"a")).unwrap();
        assert_eq!(inbox.cut().len(), 1);
        assert!(inbox.push(batch(b"b")).is_err());
        assert!(matches!(inbox.pop(None), Popped::Cut));
    }
}
