use std::collections::VecDeque;
use std::thread;

use super::*;
use crate::{Origin, Record};

/// The producer that has joined first.
const FIRST: Producer = Producer(0);

fn batch(payload: &[u8]) -> Batch {
    let mut batch = Batch::new();
    assert!(batch.push(Record::of(payload, Origin::NONE)));
    batch
}

#[test]
fn batches_come_out_in_order_and_then_the_end() {
    let inbox = Inbox::new(1 << 20, 8);
    inbox.join();
    inbox.push(FIRST, batch(b"a")).unwrap();
    inbox.push(FIRST, batch(b"b")).unwrap();
    inbox.leave(FIRST);
    for (expected, number) in [(b"a", 0), (b"b", 1)] {
        let Popped::Batch(found, ticket) = inbox.pop(None, 0) else { panic!("a batch") };
        assert_eq!((found.payloads().get(0), ticket), (Some(&expected[..]), number));
    }
    assert!(matches!(inbox.pop(None, 0), Popped::End));
}

#[test]
fn a_full_inbox_holds_its_producer_until_the_consumer_drains_it() {
    let inbox = Arc::new(Inbox::new(1 << 20, 2));
    inbox.join();
    let producer = thread::spawn({
        let inbox = Arc::clone(&inbox);
        move || {
            for _ in 0..1000 {
                inbox.push(FIRST, batch(b"x")).unwrap();
                assert!(inbox.bytes() <= 2 * batch(b"x").weight());
            }
            inbox.leave(FIRST);
        }
    });
    let mut seen = 0;
    while let Popped::Batch(..) = inbox.pop(None, 0) {
        seen += 1;
    }
    producer.join().unwrap();
    assert_eq!(seen, 1000);
}

#[test]
fn each_of_many_waiting_producers_is_woken_in_the_end() {
    // Only as many are woken as there is room for, so a lost wake-up would hang the test.
    for credit in [1, 2, 7, 200] {
        let inbox = Inbox::new(1 << 20, credit);
        (0..50).for_each(|_| assert!(inbox.join().0 < 50));
        let seen = thread::scope(|scope| {
            for producer in 0..50 {
                let inbox = &inbox;
                scope.spawn(move || {
                    for number in 0..100 {
                        inbox.put(FIRST, batch(b"x"), (producer + number) % 3 == 0, &mut Vec::new()).unwrap();
                    }
                    inbox.leave(FIRST);
                });
            }
            std::iter::from_fn(|| matches!(inbox.pop(None, 0), Popped::Batch(..)).then_some(())).count()
        });
        assert_eq!(seen, 5000, "credit {credit}");
    }
}

#[test]
fn no_more_producers_are_woken_than_there_is_room_for() {
    let inbox = Inbox::new(4 * batch(b"x").weight(), 100);
    let mut state = State { waiting_producers: 1000, ..State::default() };
    let weight = batch(b"x").weight();
    assert_eq!(inbox.producers_to_wake(&state, weight), 4);
    state.woken_producers = 3;
    assert_eq!(inbox.producers_to_wake(&state, weight), 1, "three are on their way");
    state.bytes = 2 * weight;
    assert_eq!(inbox.producers_to_wake(&state, weight), 0, "two of them fit");
    state.bytes = 3 * weight;
    state.woken_producers = 0;
    assert_eq!(inbox.producers_to_wake(&state, weight), 0, "it is not drained to half");
    state.bytes = 0;
    assert_eq!(inbox.producers_to_wake(&state, 1000 * weight), 1, "a heavy batch passes through an empty inbox");
}

#[test]
fn a_batch_heavier_than_the_credit_passes_through_an_empty_inbox() {
    let inbox = Inbox::new(8, 8);
    inbox.join();
    inbox.push(FIRST, batch(&[0; 100])).unwrap();
    assert!(matches!(inbox.pop(None, 0), Popped::Batch(..)));
}

#[test]
fn batches_that_were_put_in_quietly_are_seen_though_nobody_says_so() {
    let inbox = Arc::new(Inbox::new(1 << 20, 100));
    inbox.join();
    let consumer = thread::spawn({
        let inbox = Arc::clone(&inbox);
        move || (0..200).filter(|_| matches!(inbox.pop(None, 0), Popped::Batch(..))).count()
    });
    for number in 0..200 {
        inbox.put(FIRST, batch(b"x"), true, &mut Vec::new()).unwrap();
        if number % 7 == 0 {
            // The consumer has taken all batches by now. It sleeps with or without a timeout.
            thread::sleep(Duration::from_micros(400 * (number % 5)));
        }
    }
    assert_eq!(consumer.join().unwrap(), 200);
}

#[test]
fn what_fills_the_inbox_or_is_announced_wakes_who_sleeps() {
    // The lenience never ends, so the test would hang if a wake-up were missing.
    for credit in [1, 2, BURST, 2 * BURST] {
        let inbox = Arc::new(Inbox::new(1 << 20, credit));
        inbox.join();
        let consumer = thread::spawn({
            let inbox = Arc::clone(&inbox);
            move || {
                std::iter::from_fn(|| {
                    matches!(inbox.pop_leniently(None, Duration::MAX, 0), Popped::Batch(..)).then_some(())
                })
                .count()
            }
        });
        for _ in 0..100 {
            inbox.put(FIRST, batch(b"x"), true, &mut Vec::new()).unwrap();
        }
        inbox.announce();
        inbox.leave(FIRST);
        assert_eq!(consumer.join().unwrap(), 100, "credit {credit}");
    }
}

#[test]
fn cutting_hands_back_what_waited_and_refuses_what_comes() {
    let inbox = Inbox::new(1 << 20, 8);
    inbox.join();
    inbox.push(FIRST, batch(b"a")).unwrap();
    assert_eq!(inbox.cut().len(), 1);
    assert!(inbox.push(FIRST, batch(b"b")).is_err());
    assert!(matches!(inbox.pop(None, 0), Popped::Cut));
}

/// A direct send to a queue that holds `room` batches.
#[derive(Debug, Default)]
struct Door {
    room: usize,
    inside: Mutex<VecDeque<Batch>>,
    woken: AtomicUsize,
}

impl Door {
    fn of(room: usize) -> Arc<Self> {
        Arc::new(Self { room, ..Self::default() })
    }

    fn next(&self) -> Option<Batch> {
        self.inside.lock().unwrap().pop_front()
    }
}

impl DirectSend for Door {
    fn take(&self, batch: Batch, _: bool, _: &mut Vec<u8>) -> Result<(), NotTaken> {
        let mut inside = self.inside.lock().unwrap();
        if inside.len() == self.room {
            return Err(NotTaken::Full(batch));
        }
        inside.push_back(batch);
        Ok(())
    }

    fn announce(&self) {}

    fn wake(&self) {
        self.woken.fetch_add(1, Ordering::SeqCst);
    }

    fn is_low(&self) -> bool {
        self.inside.lock().unwrap().len() <= self.room / 2
    }

    fn bytes(&self) -> usize {
        self.inside.lock().unwrap().iter().map(|batch| batch.payloads().byte_len()).sum()
    }
}

fn number_of(batch: &Batch) -> u32 {
    u32::from_le_bytes(batch.payloads().get(0).unwrap().try_into().unwrap())
}

#[test]
fn an_entrance_is_used_while_it_is_open_and_nothing_waits_in_the_inbox() {
    let (inbox, door) = (Inbox::new(1 << 20, 8), Door::of(1));
    inbox.join();
    inbox.set_direct_send(Arc::clone(&door) as Arc<dyn DirectSend>);
    inbox.push(FIRST, batch(b"closed")).unwrap();
    assert!(inbox.has_news() && door.inside.lock().unwrap().is_empty());
    assert!(matches!(inbox.pop_or_open(0), Popped::Batch(..)));
    // The batch that was just taken has not been passed on yet. No other batch may overtake it.
    inbox.push(FIRST, batch(b"behind it")).unwrap();
    assert!(matches!(inbox.pop_or_open(0), Popped::Batch(..)));
    assert!(matches!(inbox.pop_or_open(0), Popped::Empty));
    inbox.push(FIRST, batch(b"open")).unwrap();
    assert_eq!((inbox.has_news(), inbox.bytes()), (false, 4));
    // The direct send is full and nothing makes room: after a while the batch waits in the inbox, and so do
    // later ones.
    inbox.push(FIRST, batch(b"full")).unwrap();
    door.next().unwrap();
    inbox.push(FIRST, batch(b"later")).unwrap();
    assert!(door.next().is_none());
    inbox.leave(FIRST);
    for payload in [b"full", &b"later"[..]] {
        let Popped::Batch(found, _) = inbox.pop_or_open(0) else { panic!("a batch") };
        assert_eq!(found.payloads().get(0), Some(payload));
    }
    assert!(matches!(inbox.pop_or_open(0), Popped::End));
    assert!(inbox.has_news() && door.woken.load(Ordering::SeqCst) > 0);
}

#[test]
fn who_waits_at_a_full_entrance_goes_on_when_it_is_drained_closed_or_cut() {
    type Release = fn(&Inbox, &Door);
    let cases: [(Release, bool); 3] = [
        (
            |inbox, door| {
                door.next();
                inbox.entrance_drained();
            },
            true,
        ),
        (|inbox, _| inbox.close_entrance(), true),
        (|inbox, _| drop(inbox.cut()), false),
    ];
    for (release, taken) in cases {
        let (inbox, door) = (Arc::new(Inbox::new(1 << 20, 8)), Door::of(1));
        inbox.join();
        inbox.set_direct_send(Arc::clone(&door) as Arc<dyn DirectSend>);
        assert!(matches!(inbox.pop_or_open(0), Popped::Empty));
        inbox.push(FIRST, batch(b"first")).unwrap();
        let sender = thread::spawn({
            let inbox = Arc::clone(&inbox);
            move || inbox.push(FIRST, batch(b"second")).is_ok()
        });
        while inbox.at_entrance.load(Ordering::SeqCst) == 0 && !sender.is_finished() {
            thread::yield_now();
        }
        release(&inbox, &door);
        assert_eq!(sender.join().unwrap(), taken);
    }
}

#[test]
fn order_holds_whichever_way_batches_take() {
    // With little credit, a producer often waits for room while its consumer opens the direct send.
    for credit in [1, 2, 8] {
        expect_order(credit);
    }
}

fn expect_order(credit: usize) {
    const BATCHES: u32 = 20_000;
    let (inbox, door) = (Arc::new(Inbox::new(1 << 20, credit)), Door::of(4));
    inbox.join();
    inbox.set_direct_send(Arc::clone(&door) as Arc<dyn DirectSend>);
    let producer = thread::spawn({
        let inbox = Arc::clone(&inbox);
        move || {
            for number in 0..BATCHES {
                inbox.put(FIRST, batch(&number.to_le_bytes()), number % 3 != 0, &mut Vec::new()).unwrap();
            }
            inbox.leave(FIRST);
        }
    });
    let mut seen = Vec::new();
    for turn in 1_u32.. {
        let popped = if turn % 50 == 0 { None } else { Some(inbox.pop_or_open(0)) };
        // A batch from the direct send is older than the batches in the inbox, and none arrives there while an
        // older one is being handled.
        while let Some(batch) = door.next() {
            seen.push(number_of(&batch));
        }
        inbox.entrance_drained();
        match popped {
            None => inbox.close_entrance(),
            Some(Popped::Batch(batch, _)) => seen.push(number_of(&batch)),
            Some(Popped::Empty | Popped::Watermark(..)) => thread::yield_now(),
            Some(Popped::End) => break,
            Some(Popped::Cut | Popped::Mark(_)) => panic!("the inbox is not cut, and no epoch is marked"),
        }
    }
    producer.join().unwrap();
    let strayed = seen.windows(2).find(|pair| pair[1] != pair[0] + 1);
    assert_eq!((seen.len(), strayed), (BATCHES as usize, None), "credit {credit}");
}

fn popped(inbox: &Inbox, seen: u64) -> String {
    match inbox.pop(Some(Duration::ZERO), seen) {
        Popped::Batch(batch, _) => format!("{} records", batch.len()),
        other => format!("{other:?}"),
    }
}

#[test]
fn a_consumer_learns_of_an_epoch_when_all_producers_have_marked_it_and_no_batch_waits() {
    let inbox = Inbox::new(1 << 20, 64);
    (0..3).for_each(|_| assert!(inbox.join().0 < 50));
    inbox.push(FIRST, batch(b"x")).unwrap();
    inbox.mark(1);
    inbox.mark(1);
    assert!(popped(&inbox, 0).ends_with("records"));
    assert_eq!(popped(&inbox, 0), "Empty", "one producer has not marked it");
    inbox.push(FIRST, batch(b"x")).unwrap();
    inbox.mark(1);
    assert!(inbox.has_news());
    assert!(popped(&inbox, 0).ends_with("records"), "what was sent before comes first");
    // Two consumers share the inbox, and each learns of it once.
    assert_eq!([popped(&inbox, 0), popped(&inbox, 0), popped(&inbox, 1)], ["Mark(1)", "Mark(1)", "Empty"]);
    assert!(!inbox.has_news());
    // The next epoch; a producer that leaves marks nothing any more.
    inbox.mark(2);
    inbox.leave(FIRST);
    assert_eq!(popped(&inbox, 1), "Empty");
    inbox.mark(2);
    assert_eq!(popped(&inbox, 1), "Mark(2)");
    inbox.leave(FIRST);
    inbox.leave(FIRST);
    assert_eq!(popped(&inbox, 2), "End");
}

#[test]
fn a_mark_and_the_leaving_of_the_last_producer_without_one_wake_a_consumer_that_waits() {
    for leaves in [false, true] {
        let inbox = Arc::new(Inbox::new(1 << 20, 64));
        (0..2).for_each(|_| assert!(inbox.join().0 < 50));
        let consumer = {
            let inbox = Arc::clone(&inbox);
            thread::spawn(move || format!("{:?}", inbox.pop(None, 4)))
        };
        inbox.mark(5);
        if leaves {
            inbox.leave(FIRST)
        } else {
            inbox.mark(5)
        }
        assert_eq!(consumer.join().unwrap(), "Mark(5)");
    }
}
