use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

/// A bound on the bytes that wait in several [inboxes](super::Inbox) together, behind the first batch of each.
///
/// Each inbox has a credit of its own. A thousand of them may hold a thousand times as much, and a sender that is
/// faster than their consumers would fill them all: memory that is in no cache when a consumer gets to it. The first
/// batch of each inbox is not counted, so that every consumer has work.
///
/// **Waiting.** A sender [waits](SharedRoom::wait) while the room is closed. Bytes above the bound close it. It opens
/// when consumers have drained it to half, or when an inbox is cut. Consumers never wait here, so a closed room opens.
/// The bound is soft: each sender may put in one more batch than it allows.
#[derive(Debug)]
pub struct SharedRoom {
    bytes: AtomicUsize,
    most: usize,
    closed: AtomicBool,
    cut: AtomicBool,
    lock: Mutex<()>,
    opened: Condvar,
}

impl SharedRoom {
    /// A room for `most` bytes ([`Batch::weight`](super::Batch::weight)).
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            bytes: AtomicUsize::new(0),
            most,
            closed: AtomicBool::new(false),
            cut: AtomicBool::new(false),
            lock: Mutex::new(()),
            opened: Condvar::new(),
        }
    }

    /// Waits until a sender may put a batch into one of the inboxes.
    pub fn wait(&self) {
        if !self.closed.load(Ordering::SeqCst) && self.bytes() <= self.most {
            return;
        }
        let mut lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        if self.bytes() > self.most {
            self.closed.store(true, Ordering::SeqCst);
            // A consumer that drained the room before the line above did not see that it is closed.
            self.open_if_low(self.bytes());
        }
        while self.closed.load(Ordering::SeqCst) && !self.cut.load(Ordering::SeqCst) {
            lock = self.opened.wait(lock).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Bytes that wait behind the first batches.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::SeqCst)
    }

    pub(super) fn add(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::SeqCst);
    }

    pub(super) fn remove(&self, bytes: usize) {
        let left = self.bytes.fetch_sub(bytes, Ordering::SeqCst).saturating_sub(bytes);
        if self.closed.load(Ordering::SeqCst) && left <= self.most / 2 {
            let _lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
            self.open_if_low(self.bytes());
            self.opened.notify_all();
        }
    }

    /// Ends all waiting, because the pipeline stops.
    pub(super) fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
        let _lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        self.opened.notify_all();
    }

    /// The lock must be held.
    fn open_if_low(&self, bytes: usize) {
        if bytes <= self.most / 2 {
            self.closed.store(false, Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use super::*;
    use crate::{Batch, Inbox, Origin, Popped, Producer, Record};

    const ONLY: Producer = Producer(0);

    fn batch() -> Batch {
        let mut batch = Batch::new();
        assert!(batch.push(Record::of(&[0; 88], Origin::NONE)));
        assert_eq!(batch.weight(), 100);
        batch
    }

    fn inboxes(room: &Arc<SharedRoom>, count: usize) -> Vec<Inbox> {
        let inboxes: Vec<_> = (0..count).map(|_| Inbox::new(1 << 20, 1000).sharing(Arc::clone(room))).collect();
        inboxes.iter().for_each(|inbox| assert_eq!(inbox.join(), ONLY));
        inboxes
    }

    #[test]
    fn what_waits_behind_the_first_batch_of_an_inbox_is_counted() {
        let room = Arc::new(SharedRoom::new(1000));
        let inboxes = inboxes(&room, 2);
        for (inbox, bytes) in [(0, 0), (0, 100), (1, 100), (1, 200), (0, 300)] {
            inboxes[inbox].push(ONLY, batch()).unwrap();
            assert_eq!(room.bytes(), bytes);
        }
        for bytes in [200, 100, 100] {
            assert!(matches!(inboxes[0].pop(None, 0), Popped::Batch(..)));
            assert_eq!(room.bytes(), bytes);
        }
        assert_eq!(inboxes[1].cut().len(), 2);
        assert_eq!(room.bytes(), 0);
    }

    #[test]
    fn a_sender_waits_until_the_inboxes_are_drained_to_half() {
        const BATCHES: usize = 20_000;
        let room = Arc::new(SharedRoom::new(1000));
        let inboxes = inboxes(&room, 4);
        thread::scope(|scope| {
            let taken: Vec<_> = inboxes
                .iter()
                .map(|inbox| {
                    scope.spawn(move || {
                        std::iter::from_fn(|| matches!(inbox.pop(None, 0), Popped::Batch(..)).then_some(())).count()
                    })
                })
                .collect();
            for inbox in inboxes.iter().cycle().take(BATCHES) {
                room.wait();
                assert!(room.bytes() <= 1000, "one sender, which waits, and fills nothing before it may");
                inbox.push(ONLY, batch()).unwrap();
            }
            inboxes.iter().for_each(|inbox| inbox.leave(ONLY));
            assert_eq!(taken.into_iter().map(|count| count.join().unwrap()).sum::<usize>(), BATCHES);
        });
        assert_eq!(room.bytes(), 0);
    }

    #[test]
    fn cutting_an_inbox_lets_a_waiting_sender_go() {
        let room = Arc::new(SharedRoom::new(100));
        let inboxes = inboxes(&room, 2);
        (0..3).for_each(|_| inboxes[0].push(ONLY, batch()).unwrap());
        thread::scope(|scope| {
            let sender = scope.spawn(|| room.wait());
            // Whether the sender waits already or not, it gets through, and all of the other inbox is still there.
            inboxes[1].cut();
            sender.join().unwrap();
        });
        assert_eq!(room.bytes(), 200);
    }
}
