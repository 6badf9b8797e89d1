use std::time::Duration;

use super::*;
use sage_batch::wire::get_u64;
use sage_batch::{Origin, Record};
use sage_process::Link;

const WINDOW: usize = 8;

/// The batches in flight with the writing half of a link, the near end of that link, and the far end.
fn in_flight(kind: Kind) -> (InFlightBatches, Link, Link) {
    let (mut near, far) = Link::pair().unwrap();
    let in_flight = InFlightBatches::new(kind, None, WINDOW);
    in_flight.begin(near.lend().unwrap(), near.doorbell());
    (in_flight, near, Link::far(far, Duration::ZERO).unwrap())
}

/// Records of many lengths, with values that depend on their position.
fn batch(number: usize) -> Batch {
    let mut batch = Batch::new();
    for row in 0..number * 37 % 300 + 1 {
        let payload: Vec<u8> = (0..(number + row * 7) % 400).map(|at| (number * 31 + row * 7 + at) as u8).collect();
        assert!(batch.push(Record { key: Some(b"key"), ..Record::of(&payload, Origin::new(0, row as u64)) }));
    }
    batch
}

/// Reads the next call as a worker does.
fn next(far: &mut Link) -> Batch {
    assert_eq!(get_u64(far).unwrap(), ask::CALL);
    let edge = get_u64(far).unwrap();
    get_u64(far).unwrap();
    let mut batch = Batch::new();
    batch.read(far, u64::from(u32::MAX)).unwrap();
    batch.set_edge(u32::try_from(edge).unwrap());
    far.taken();
    batch
}

#[test]
fn a_batch_leaves_its_buffer_to_its_sender_where_its_payloads_are_not_needed_again() {
    for (kind, left) in [(Kind::Map, true), (Kind::FlatMap, true), (Kind::Filter, false), (Kind::Process, false)] {
        let (in_flight, _near, mut far) = in_flight(kind);
        let (sent, mut spare) = (batch(5), Vec::new());
        let place = sent.payloads().bytes().as_ptr();
        in_flight.take(sent, false, &mut spare).unwrap();
        assert_eq!(spare.as_ptr() == place, left, "{kind:?}");
        assert_eq!(next(&mut far).payloads(), batch(5).payloads());
        assert_eq!(in_flight.bytes(), batch(5).payloads().byte_len());
        let oldest = in_flight.oldest().unwrap();
        assert_eq!(oldest.batch().len(), batch(5).len());
        assert_eq!(in_flight.answered(oldest, false).batch.keys(), batch(5).keys());
        assert_eq!((in_flight.count(), in_flight.bytes()), (0, 0));
    }
}

#[test]
fn what_is_under_way_comes_back_whole_though_the_ring_has_gone_round_often() {
    for kind in [Kind::Map, Kind::Filter, Kind::FlatMap, Kind::KeyBy, Kind::Process] {
        let (in_flight, mut near, mut far) = in_flight(kind);
        let mut spare = Vec::new();
        for number in 0..300 {
            in_flight.take(batch(number), number % 2 == 0, &mut spare).unwrap();
            // The worker has taken the last batches and answered only older ones, so their places must not be
            // overwritten.
            assert_eq!(next(&mut far).payloads(), batch(number).payloads(), "{kind:?} {number}");
            if number >= 5 {
                let oldest = in_flight.oldest().unwrap();
                let whole = in_flight.answered(oldest, number % 3 == 0).batch;
                assert!(number % 3 != 0 || whole.payloads() == batch(number - 5).payloads(), "{kind:?} {number}");
            }
        }
        let failed = in_flight.oldest();
        let out = in_flight.stop().unwrap();
        let back = in_flight.take_back(failed, Some(&out));
        near.give_back(out);
        let payloads: Vec<_> = back.iter().map(|held| held.batch.payloads().clone()).collect();
        assert_eq!(payloads, (295..300).map(|number| batch(number).payloads().clone()).collect::<Vec<_>>(), "{kind:?}");
        assert_eq!((in_flight.count(), in_flight.bytes()), (0, 0));
    }
}

#[test]
fn there_is_room_for_a_window_and_for_as_much_as_the_ring_holds_unanswered() {
    let (in_flight, _near, mut far) = in_flight(Kind::Map);
    let mut spare = Vec::new();
    for _ in 0..WINDOW {
        in_flight.take(batch(1), true, &mut spare).unwrap();
    }
    assert!(!in_flight.has_room() && !in_flight.is_low());
    assert!(matches!(in_flight.take(batch(1), true, &mut spare), Err(NotTaken::Full(_))));
    for _ in 0..WINDOW {
        next(&mut far);
        let oldest = in_flight.oldest().unwrap();
        in_flight.answered(oldest, false);
    }

    let large = |byte: u8| {
        let mut batch = Batch::new();
        assert!(batch.push(Record::of(&vec![byte; 400_000], Origin::NONE)));
        batch
    };
    for byte in [1, 2] {
        in_flight.take(large(byte), true, &mut spare).unwrap();
        assert_eq!(next(&mut far).payloads(), large(byte).payloads());
    }
    // The worker has taken both batches, so its ring is empty. The unanswered batch still occupies its place.
    assert!(matches!(in_flight.take(large(3), true, &mut spare), Err(NotTaken::Full(_))));
    let oldest = in_flight.oldest().unwrap();
    assert_eq!(in_flight.answered(oldest, true).batch.payloads(), large(1).payloads());
    in_flight.take(large(3), true, &mut spare).unwrap();
    assert_eq!(next(&mut far).payloads(), large(3).payloads());
}

#[test]
fn nothing_is_taken_while_the_writing_half_is_elsewhere_or_when_it_never_fits() {
    let (in_flight, _near, _far) = in_flight(Kind::Map);
    let mut huge = Batch::new();
    assert!(huge.push(Record::of(&vec![0; 2 << 20], Origin::NONE)));
    assert!(matches!(in_flight.take(huge, false, &mut Vec::new()), Err(NotTaken::Closed(_))));
    let out = in_flight.stop().unwrap();
    assert!(matches!(in_flight.take(batch(1), false, &mut Vec::new()), Err(NotTaken::Closed(_))));
    assert!(in_flight.hand_over(InFlight::new(batch(1), 0)).is_err());
    drop(out);
}
