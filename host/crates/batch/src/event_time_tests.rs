use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::{Batch, DirectSend, NotTaken, Origin, Popped, Record};

/// A batch of one record of this time, behind which event time is `watermark`.
fn batch(time: i64, watermark: i64) -> Batch {
    let mut batch = Batch::new();
    assert!(batch.push(Record { timestamp: Some(time), ..Record::of(b"x", Origin::NONE) }));
    batch.set_watermark(Watermark::at(watermark));
    batch
}

/// What an inbox hands out: the times of records, and the watermarks behind them.
fn taken(inbox: &Inbox) -> Vec<String> {
    let pop = || match inbox.pop(Some(Duration::ZERO), 0) {
        Popped::Batch(batch, ticket) => {
            Some(format!("{ticket}: {} then {}", batch.timestamps().unwrap()[0], told(batch.watermark())))
        }
        Popped::Watermark(watermark, ticket) => Some(format!("{ticket}: {}", told(watermark))),
        _ => None,
    };
    std::iter::from_fn(pop).collect()
}

fn told(Watermark { time, idle }: Watermark) -> String {
    let time = if time == i64::MIN { "nothing".to_owned() } else { time.to_string() };
    if idle { format!("{time} (idle)") } else { time }
}

#[test]
fn batches_leave_with_the_watermark_of_all_producers_in_the_order_in_which_they_came() {
    let inbox = Inbox::new(1 << 20, 100);
    let (a, b) = (inbox.join(), inbox.join());
    inbox.push(a, batch(7, 5)).unwrap();
    inbox.push(b, batch(3, 1)).unwrap();
    inbox.push(b, batch(9, 8)).unwrap();
    assert_eq!(taken(&inbox), ["0: 7 then nothing", "1: 3 then 1", "2: 9 then 5"]);
}

#[test]
fn a_watermark_without_a_batch_goes_with_the_last_batch_that_waits_or_comes_alone() {
    let inbox = Inbox::new(1 << 20, 100);
    let (a, b) = (inbox.join(), inbox.join());
    inbox.push(a, batch(7, 5)).unwrap();
    inbox.push(a, batch(8, 6)).unwrap();
    inbox.advance(b, Watermark::at(9));
    assert_eq!(taken(&inbox), ["0: 7 then nothing", "1: 8 then 6"]);
    inbox.advance(a, Watermark::at(8));
    assert!(inbox.has_news());
    assert_eq!(taken(&inbox), ["2: 8"]);
    assert!(!inbox.has_news());
    inbox.advance(b, Watermark::at(10));
    assert_eq!(taken(&inbox), Vec::<String>::new(), "the other one decides");
    inbox.advance(a, Watermark { time: 8, idle: true });
    inbox.push(b, batch(12, 11)).unwrap();
    assert_eq!(taken(&inbox), ["3: 12 then 11"], "the batch tells it");
    inbox.advance(b, Watermark { time: 11, idle: true });
    inbox.leave(b);
    assert_eq!(taken(&inbox), ["4: 11 (idle)"]);
    inbox.leave(a);
    assert!(matches!(inbox.pop(None, 0), Popped::End));
}

#[test]
fn a_watermark_comes_before_the_epoch_behind_it() {
    let inbox = Inbox::new(1 << 20, 100);
    let a = inbox.join();
    inbox.advance(a, Watermark::at(1));
    inbox.mark(1);
    assert!(matches!(inbox.pop(None, 0), Popped::Watermark(..)));
    assert!(inbox.has_news() && matches!(inbox.pop(None, 0), Popped::Mark(1)));
    assert!(!inbox.has_news());
}

#[test]
fn producers_without_event_time_hold_back_who_has_it_and_alone_tell_nothing() {
    let inbox = Inbox::new(1 << 20, 100);
    let (a, b) = (inbox.join(), inbox.join());
    inbox.push(b, batch(1, i64::MIN)).unwrap();
    assert!(!inbox.lock().is_timed);
    inbox.push(a, batch(5, 5)).unwrap();
    assert_eq!(taken(&inbox), ["0: 1 then nothing", "1: 5 then nothing"]);
    inbox.leave(b);
    assert_eq!(taken(&inbox), ["2: 5"], "its end is no longer waited for");
}

/// Takes batches as long as `room` says so.
#[derive(Debug, Default)]
struct Direct {
    room: Mutex<usize>,
    taken: Mutex<Vec<Watermark>>,
}

impl DirectSend for Direct {
    fn take(&self, batch: Batch, _: bool, _: &mut Vec<u8>) -> Result<(), NotTaken> {
        let mut room = self.room.lock().unwrap();
        match room.checked_sub(1) {
            Some(left) => *room = left,
            None => return Err(NotTaken::Full(batch)),
        }
        self.taken.lock().unwrap().push(batch.watermark());
        Ok(())
    }

    fn announce(&self) {}

    fn wake(&self) {}

    fn is_low(&self) -> bool {
        true
    }

    fn bytes(&self) -> usize {
        0
    }
}

#[test]
fn a_batch_that_the_direct_send_does_not_take_has_not_moved_event_time() {
    let inbox = Inbox::new(1 << 20, 100);
    let direct = Arc::new(Direct::default());
    inbox.set_direct_send(Arc::clone(&direct) as Arc<dyn DirectSend>);
    let (a, b) = (inbox.join(), inbox.join());
    assert!(matches!(inbox.pop_or_open(0), Popped::Empty));
    *direct.room.lock().unwrap() = 1;
    inbox.push(a, batch(7, 5)).unwrap();
    inbox.push(b, batch(3, 2)).unwrap();
    assert_eq!(*direct.taken.lock().unwrap(), [Watermark::NONE]);
    assert_eq!(taken(&inbox), ["0: 3 then 2"], "it waited here");
    assert!(matches!(inbox.pop_or_open(0), Popped::Empty));
    *direct.room.lock().unwrap() = 1;
    inbox.advance(b, Watermark::at(4));
    inbox.push(b, batch(9, 9)).unwrap();
    assert_eq!(direct.taken.lock().unwrap().last(), Some(&Watermark::at(5)));
    assert!(!inbox.has_news(), "the batch has told it");
}

#[derive(Debug, Clone)]
enum Step {
    /// The producer sends a record this much ahead of its watermark, and then moves it on.
    Send(usize, i64, i64),
    Advance(usize, i64, bool),
    Take,
    Leave(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let who = || 0usize..3;
    prop_oneof![
        (who(), 0i64..5, 0i64..5).prop_map(|(who, ahead, by)| Step::Send(who, ahead, by)),
        (who(), 0i64..5, any::<bool>()).prop_map(|(who, by, idle)| Step::Advance(who, by, idle)),
        Just(Step::Take),
        who().prop_map(Step::Leave),
    ]
}

proptest! {
    /// As long as no producer is idle, no record is older than a watermark that came before it.
    #[test]
    fn no_watermark_overtakes_a_record_and_none_falls(steps in prop::collection::vec(step(), 0..80), idles: bool) {
        let inbox = Inbox::new(1 << 20, 1000);
        let mut at: Vec<Option<(Producer, i64)>> = (0..3).map(|_| Some((inbox.join(), 0))).collect();
        let mut reached = i64::MIN;
        for step in steps {
            match step {
                Step::Send(who, ahead, by) => {
                    let Some((producer, time)) = &mut at[who] else { continue };
                    let record = *time + ahead;
                    *time += by;
                    inbox.push(*producer, batch(record, *time)).unwrap();
                }
                Step::Advance(who, by, idle) => {
                    let Some((producer, time)) = &mut at[who] else { continue };
                    *time += by;
                    inbox.advance(*producer, Watermark { time: *time, idle: idle && idles });
                }
                Step::Leave(who) => {
                    if let Some((producer, _)) = at[who].take() {
                        inbox.leave(producer);
                    }
                }
                Step::Take => {
                    let (record, to) = match inbox.pop(Some(Duration::ZERO), 0) {
                        Popped::Batch(batch, _) => (Some(batch.timestamps().unwrap()[0]), batch.watermark()),
                        Popped::Watermark(to, _) => (None, to),
                        _ => continue,
                    };
                    if let Some(record) = record.filter(|_| !idles) {
                        prop_assert!(record >= reached, "a record of {record} behind a watermark of {reached}");
                    }
                    prop_assert!(to.time >= reached);
                    reached = to.time;
                }
            }
        }
    }
}
