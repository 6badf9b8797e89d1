use std::sync::Arc;
use std::time::{Duration, Instant};

use super::control::Stopped;
use super::partition::place_of;
use sage_batch::{Batch, BatchPool, Column, Inbox, Refused};
use sage_observe::InstanceCounters;
use sage_plan::Partition;

/// What a batch aims at: larger ones leave the cache and copy at a fifth of the speed, smaller ones pay for a wake-up too often.
pub(super) const BATCH_BYTES: usize = 64 << 10;
/// The same where a worker receives them, which costs more for each batch than a call in the lane's own thread: 5 % of the CPU of generate to discard. A
/// window of these fits into the ring.
const BATCH_BYTES_FOR_WORKERS: usize = 120 << 10;
/// How soon the next batch comes where it is near: a waking, and the change of threads it brings, cost some 10 µs of CPU.
const MOMENT: Duration = Duration::from_micros(200);
/// The most records of a batch.
pub(super) const BATCH_RECORDS: usize = 4096;

/// One output of a lane: sends batches along every edge that leaves it.
pub(super) struct Outlet {
    routes: Vec<Route>,
    pool: Arc<BatchPool>,
}

/// One edge, as one sending lane sees it.
pub(super) struct Route {
    partition: Partition,
    /// The receiver's inboxes: instance by instance, in each lane by lane (one where the lanes share).
    targets: Vec<Target>,
    instances: u32,
    lanes: u32,
    /// The sender's instance (forward) or a turn that moves on (round-robin).
    turn: usize,
}

struct Target {
    inbox: Arc<Inbox>,
    consumer: Arc<InstanceCounters>,
    /// Records that wait until they are worth sending.
    gathered: Batch,
    /// The heaviest batch that the inbox's credit admits.
    heaviest: usize,
    /// When the last batch was put in.
    pushed: Option<Instant>,
    /// Batches were put in and the receiver not woken.
    quiet: bool,
    /// The buffer of a batch that the receiver has no use for any more, still in this CPU's cache.
    spare: Vec<u8>,
}

/// What a [`Route`] leads to.
#[derive(Clone)]
pub(super) struct Destination {
    pub(super) inbox: Arc<Inbox>,
    pub(super) consumer: Arc<InstanceCounters>,
    pub(super) credit: usize,
}

impl Route {
    /// `destinations[instance][lane]`; the sender is `instance` and joins every inbox it may send to: where it sends forward, those of one instance.
    pub(super) fn new(partition: Partition, destinations: &[Vec<Destination>], instance: u32) -> Self {
        let turn = instance as usize;
        let (destinations, turn) = match destinations.get(turn) {
            Some(own) if partition == Partition::Forward => (std::slice::from_ref(own), 0),
            _ => (destinations, turn),
        };
        let lanes = destinations.first().map_or(1, Vec::len);
        let targets: Vec<_> = destinations
            .iter()
            .flatten()
            .map(|to| {
                to.inbox.join();
                Target {
                    inbox: Arc::clone(&to.inbox),
                    consumer: Arc::clone(&to.consumer),
                    gathered: Batch::new(),
                    heaviest: to.credit,
                    pushed: None,
                    quiet: false,
                    spare: Vec::new(),
                }
            })
            .collect();
        Self {
            partition,
            targets,
            instances: u32::try_from(destinations.len()).unwrap_or(u32::MAX),
            lanes: u32::try_from(lanes).unwrap_or(u32::MAX),
            turn,
        }
    }

    fn send(&mut self, batch: Batch, pool: &BatchPool) -> Result<(), Stopped> {
        if let [only] = self.targets.as_mut_slice() {
            return only.gather(batch, pool);
        }
        match self.partition {
            Partition::Key => self.scatter(&batch, pool, None)?,
            Partition::Forward if self.lanes > 1 => self.scatter(&batch, pool, u32::try_from(self.turn).ok())?,
            Partition::Forward => return self.send_to(self.turn, batch, pool),
            Partition::RoundRobin if self.lanes > 1 => {
                let instance = self.next_turn(self.instances as usize);
                self.scatter(&batch, pool, u32::try_from(instance).ok())?;
            }
            Partition::RoundRobin => {
                let turn = self.next_turn(self.targets.len());
                return self.send_to(turn, batch, pool);
            }
            Partition::Broadcast if self.lanes > 1 => {
                (0..self.instances).try_for_each(|instance| self.scatter(&batch, pool, Some(instance)))?;
            }
            Partition::Broadcast => {
                for target in &mut self.targets {
                    target.gather(copy_of(&batch, pool), pool)?;
                }
            }
        }
        pool.put(batch);
        Ok(())
    }

    fn next_turn(&mut self, of: usize) -> usize {
        let turn = self.turn % of.max(1);
        self.turn = turn + 1;
        turn
    }

    fn send_to(&mut self, target: usize, batch: Batch, pool: &BatchPool) -> Result<(), Stopped> {
        match self.targets.get_mut(target) {
            Some(target) => target.gather(batch, pool),
            None => Ok(()),
        }
    }

    /// Record by record to where its key belongs: the lane of `instance`, or of the instance that the key chooses.
    fn scatter(&mut self, batch: &Batch, pool: &BatchPool, instance: Option<u32>) -> Result<(), Stopped> {
        for row in 0..batch.len() {
            let key = batch.keys().and_then(|keys| keys.get(row)).unwrap_or_default();
            let (chosen, lane) = place_of(key, self.instances, self.lanes);
            let target = instance.unwrap_or(chosen) * self.lanes + lane;
            if let Some(target) = self.targets.get_mut(target as usize) {
                target.append(batch, row, row + 1, pool)?;
            }
        }
        Ok(())
    }

    fn flush(&mut self, pool: &BatchPool) -> Result<(), Stopped> {
        self.targets.iter_mut().try_for_each(|target| {
            target.flush(pool)?;
            if std::mem::take(&mut target.quiet) {
                target.inbox.announce();
            }
            Ok(())
        })
    }

    fn leave(&mut self) {
        for target in &mut self.targets {
            // What is still gathered now was cut off from its way.
            let gathered = std::mem::take(&mut target.gathered);
            target.lose(gathered);
            target.inbox.leave();
        }
    }
}

impl Target {
    /// Sends a batch, or lets it wait for company if it is small.
    fn gather(&mut self, batch: Batch, pool: &BatchPool) -> Result<(), Stopped> {
        let worth_sending = batch.weight() * 2 >= BATCH_BYTES || batch.len() * 2 >= BATCH_RECORDS;
        if self.gathered.is_empty() && worth_sending {
            return self.push(batch, pool);
        }
        self.append(&batch, 0, batch.len(), pool)?;
        pool.put(batch);
        Ok(())
    }

    fn append(&mut self, batch: &Batch, start: usize, end: usize, pool: &BatchPool) -> Result<(), Stopped> {
        if !self.gathered.append_range(batch, start, end) {
            self.flush(pool)?;
            // An empty batch takes any shape.
            let _ = self.gathered.append_range(batch, start, end);
        }
        let full = self.gathered.payloads().byte_len() >= BATCH_BYTES || self.gathered.len() >= BATCH_RECORDS;
        if full { self.flush(pool) } else { Ok(()) }
    }

    fn flush(&mut self, pool: &BatchPool) -> Result<(), Stopped> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        let batch = std::mem::replace(&mut self.gathered, pool.take());
        self.push(batch, pool)
    }

    /// Into the inbox, in pieces where the whole is heavier than the inbox's credit.
    fn push(&mut self, batch: Batch, pool: &BatchPool) -> Result<(), Stopped> {
        if batch.weight() > self.heaviest && batch.len() > 1 {
            let middle = batch.len() / 2;
            for (start, end) in [(0, middle), (middle, batch.len())] {
                let mut half = pool.take();
                let _ = half.append_range(&batch, start, end);
                self.push(half, pool)?;
            }
            pool.put(batch);
            return Ok(());
        }
        // Batches that come one upon the other are worth one waking together.
        let now = Instant::now();
        self.quiet = self.pushed.is_some_and(|before| now - before < MOMENT);
        self.pushed = Some(now);
        self.inbox.put(batch, self.quiet, &mut self.spare).map_err(|Refused(batch)| {
            self.lose(batch);
            Stopped
        })
    }

    /// The pipeline stopped before the receiver got these.
    fn lose(&self, batch: Batch) {
        self.consumer.records_in.add(batch.len() as u64);
        self.consumer.unfinished.add(batch.len() as u64);
    }
}

impl Outlet {
    pub(super) fn new(routes: Vec<Route>, pool: Arc<BatchPool>) -> Self {
        Self { routes, pool }
    }

    /// Whether anybody reads this output.
    pub(super) fn is_read(&self) -> bool {
        !self.routes.is_empty()
    }

    /// Where everything that is sent goes, if that is one place.
    pub(super) fn only_inbox(&self) -> Option<&Inbox> {
        match self.routes.as_slice() {
            [Route { targets, .. }] => match targets.as_slice() {
                [only] => Some(&only.inbox),
                _ => None,
            },
            _ => None,
        }
    }

    /// Nothing is sent any more.
    pub(super) fn leave(&mut self) {
        self.routes.drain(..).for_each(|mut route| route.leave());
    }

    /// Sends a batch along every edge.
    pub(super) fn send(&mut self, batch: Batch) -> Result<(), Stopped> {
        let Some((last, others)) = self.routes.split_last_mut() else {
            self.pool.put(batch);
            return Ok(());
        };
        if batch.is_empty() {
            self.pool.put(batch);
            return Ok(());
        }
        for route in others {
            route.send(copy_of(&batch, &self.pool), &self.pool)?;
        }
        last.send(batch, &self.pool)
    }

    /// An empty batch to fill and [send](Self::send), where possible in memory that was written just now.
    pub(super) fn next_batch(&mut self) -> Batch {
        let spare = self.spare().map(std::mem::take).unwrap_or_default();
        self.pool.take_with(spare)
    }

    /// What a batch that is sent here should aim at.
    pub(super) fn batch_bytes(&self) -> usize {
        let only = match self.routes.as_slice() {
            [Route { targets, .. }] => targets.as_slice(),
            _ => &[],
        };
        match only {
            // Where it would be cut in two in front of the inbox it is not worth its while.
            [only] if only.inbox.has_entrance() && only.heaviest >= 2 * BATCH_BYTES_FOR_WORKERS => {
                BATCH_BYTES_FOR_WORKERS
            }
            _ => BATCH_BYTES,
        }
    }

    /// Gives a column that is without one the buffer for what is [sent](Self::send) next.
    pub(super) fn lend_buffer(&mut self, column: &mut Column) {
        match self.spare() {
            Some(spare) if spare.capacity() > column.byte_capacity() => column.detach(spare),
            _ => self.pool.lend_buffer(column),
        }
    }

    fn spare(&mut self) -> Option<&mut Vec<u8>> {
        match self.routes.last_mut()?.targets.as_mut_slice() {
            [only] => Some(&mut only.spare),
            _ => None,
        }
    }

    /// Sends what waited for company: the lane has nothing better to do, or its order demands it.
    pub(super) fn flush(&mut self) -> Result<(), Stopped> {
        self.routes.iter_mut().try_for_each(|route| route.flush(&self.pool))
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        self.routes.iter_mut().for_each(Route::leave);
    }
}

fn copy_of(batch: &Batch, pool: &BatchPool) -> Batch {
    let mut copy = pool.take();
    // An empty batch takes any shape.
    let _ = copy.append_range(batch, 0, batch.len());
    copy.set_ingested(batch.ingested());
    copy
}
