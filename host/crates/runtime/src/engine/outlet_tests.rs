use super::*;
use sage_batch::{Origin, Popped, Record};

/// Receivers of one lane each, with room for everything.
fn destinations(count: usize) -> Vec<Vec<Destination>> {
    let one =
        || Destination { inbox: Arc::new(Inbox::new(1 << 30, 1 << 20)), consumer: Arc::default(), credit: 1 << 30 };
    (0..count).map(|_| vec![one()]).collect()
}

fn outlet(partition: Partition, destinations: &[Vec<Destination>]) -> Outlet {
    let batch_time = Arc::new(BatchTime::default());
    batch_time.worked(std::time::Duration::from_micros(1));
    let route = Route::new(partition, destinations, 0, 0).with_shared(Some(batch_time), None);
    Outlet::new(vec![route], Arc::new(BatchPool::new(16)))
}

/// Batches of `rows` records whose keys are their numbers modulo 1,000.
fn batches(count: u64, rows: u64) -> impl Iterator<Item = Batch> {
    (0..count).map(move |batch| {
        let mut records = Batch::new();
        for number in batch * rows..(batch + 1) * rows {
            let key = (number % 1000).to_le_bytes();
            let record = Record { key: Some(&key), ..Record::of(&[b'x'; 30], Origin::new(0, number)) };
            assert!(records.push(record));
        }
        records
    })
}

/// The numbers and keys of the records in an inbox.
fn received(inbox: &Inbox) -> Vec<(u64, Vec<u8>)> {
    let mut all = Vec::new();
    while let Popped::Batch(batch, _) = inbox.pop(Some(std::time::Duration::ZERO), 0) {
        for row in 0..batch.len() {
            let record = batch.record(row).unwrap();
            all.push((record.origin.parts().unwrap().1, record.key.unwrap().to_vec()));
        }
    }
    all
}

#[test]
fn records_go_where_their_key_belongs_in_order_and_none_is_lost() {
    for instances in [2, 3, MANY_TARGETS, 1000] {
        let destinations = destinations(instances);
        let mut outlet = outlet(Partition::Key, &destinations);
        // More than is held at a time.
        batches(40, 2048).for_each(|batch| outlet.send(batch).unwrap());
        outlet.flush().unwrap();
        let mut count = 0;
        for (instance, to) in (0..).zip(&destinations) {
            let records = received(&to[0].inbox);
            count += records.len();
            let place = |key: &[u8]| place_of(key, u32::try_from(instances).unwrap(), 1).0;
            assert!(records.iter().all(|(_, key)| place(key) == instance), "{instances} instances");
            assert!(records.is_sorted_by_key(|(number, _)| *number), "{instances} instances");
        }
        assert_eq!(count, 40 * 2048, "{instances} instances");
    }
}

#[test]
fn runs_of_batches_reach_the_instances_in_order_and_none_is_lost() {
    let destinations = destinations(5);
    let mut outlet = outlet(Partition::RoundRobin, &destinations);
    batches(100, 4096).for_each(|batch| outlet.send(batch).unwrap());
    outlet.flush().unwrap();
    let received: Vec<_> = destinations.iter().map(|to| received(&to[0].inbox)).collect();
    assert!(received.iter().all(|records| !records.is_empty() && records.is_sorted()));
    assert_eq!(received.iter().map(Vec::len).sum::<usize>(), 100 * 4096);
}

#[test]
fn what_was_not_sent_when_the_run_is_cut_is_counted_as_unfinished() {
    for instances in [3, 1000] {
        let destinations = destinations(instances);
        let mut outlet = outlet(Partition::Key, &destinations);
        batches(3, 100).for_each(|batch| outlet.send(batch).unwrap());
        drop(outlet);
        let unfinished: u64 = destinations.iter().map(|to| to[0].consumer.unfinished.get()).sum();
        assert_eq!(unfinished, 300, "{instances} instances");
    }
}

#[test]
fn what_waits_for_an_inbox_that_is_cut_is_counted_as_unfinished() {
    for instances in [3, 1000] {
        let destinations = destinations(instances);
        let mut outlet = outlet(Partition::Key, &destinations);
        destinations.iter().for_each(|to| drop(to[0].inbox.cut()));
        let sent: Result<(), Stopped> = batches(40, 2048).try_for_each(|batch| outlet.send(batch));
        let flushed = outlet.flush();
        assert!(sent.is_err() || flushed.is_err());
        drop(outlet);
        let unfinished: u64 = destinations.iter().map(|to| to[0].consumer.unfinished.get()).sum();
        // The sender stops at the first batch that is refused, and every record that it took until then is counted.
        assert!(unfinished > 0 && unfinished.is_multiple_of(2048), "{unfinished} of {instances} instances");
    }
}
