use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use sage_batch::{Batch, BatchPool, Inbox, Origin, Popped, Record};
use sage_process::Link;

use crate::figure::{Effort, Figure, Problem, Target};
use crate::place::Place;

/// Records of 128 bytes in a batch of 64 KiB.
const RECORDS: usize = 512;

/// Throughput between two threads that do nothing else: through an edge within one process, where the
/// producer copies a batch into the next pooled batch; and through a worker's ring, where the producer copies
/// it in and the consumer copies it out. Both ends of the ring are mapped as in two processes. Here they are
/// threads of one process, which changes neither the copies nor the wake-ups.
pub(crate) fn hop(_: &Place, effort: Effort) -> Result<Vec<Figure>, Problem> {
    let batches = effort.pick(40_000, 8_000);
    let mut batch = Batch::new();
    for number in 0..RECORDS {
        if !batch.push(Record::of(&[7; 128], Origin::new(0, number as u64))) {
            return Err("a batch did not take its record".into());
        }
    }
    let bytes = (batches * batch.payloads().byte_len()) as f64;
    let (mut edges, mut rings, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..effort.pick(9, 3) {
        let edge = bytes / through_an_edge(&batch, batches)?.as_secs_f64() / 1e9;
        let ring = bytes / through_a_ring(&batch, batches)?.as_secs_f64() / 1e9;
        edges.push(edge);
        rings.push(ring);
        ratios.push(ring / edge);
    }
    Ok(vec![
        Figure::of("a hop through an edge, batches of 64 KiB", "GB/s", edges),
        Figure::of("a hop through a worker's ring, batches of 64 KiB", "GB/s", rings),
        Figure::of("ring / edge", "", ratios).target(Target::AtLeast(0.6)),
    ])
}

fn through_an_edge(batch: &Batch, batches: usize) -> Result<Duration, Problem> {
    let (inbox, pool) = (Arc::new(Inbox::new(4 << 20, 64)), Arc::new(BatchPool::new(128)));
    let joined = inbox.join();
    let begun = Instant::now();
    let producer = thread::spawn({
        let (inbox, pool, batch) = (Arc::clone(&inbox), Arc::clone(&pool), batch.clone());
        move || {
            for _ in 0..batches {
                let mut next = pool.take();
                next.clone_from(&batch);
                if inbox.push(joined, next).is_err() {
                    break;
                }
            }
            inbox.leave(joined);
        }
    });
    let mut seen = 0;
    while let Popped::Batch(batch, _) = inbox.pop(None, 0) {
        seen += looked_at(&batch);
        pool.put(batch);
    }
    let taken = begun.elapsed();
    producer.join().map_err(|_| "the producer panicked")?;
    complete(seen, batches, taken)
}

fn through_a_ring(batch: &Batch, batches: usize) -> Result<Duration, Problem> {
    let (mut near, far) = Link::pair()?;
    let mut far = Link::far(far, Duration::ZERO)?;
    let begun = Instant::now();
    let producer = thread::spawn({
        let batch = batch.clone();
        move || {
            (0..batches).try_for_each(|_| {
                batch.write(&mut near, false)?;
                near.send();
                Ok::<(), sage_batch::wire::WireError>(())
            })
        }
    });
    let mut batch = Batch::new();
    let mut seen = 0;
    for _ in 0..batches {
        batch.read(&mut far, u64::from(u32::MAX))?;
        far.taken();
        seen += looked_at(&batch);
    }
    let taken = begun.elapsed();
    producer.join().map_err(|_| "the producer panicked")??;
    complete(seen, batches, taken)
}

/// Reads the first and the last record of a batch.
fn looked_at(batch: &Batch) -> usize {
    let ends = [batch.payloads().get(0), batch.payloads().get(RECORDS - 1)];
    usize::from(ends.iter().all(|end| end.is_some_and(|record| record.first() == Some(&7))))
}

fn complete(seen: usize, batches: usize, taken: Duration) -> Result<Duration, Problem> {
    if seen == batches { Ok(taken) } else { Err(format!("{seen} of {batches} batches arrived whole").into()) }
}
