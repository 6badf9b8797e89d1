use std::sync::Arc;
use std::time::{Duration, Instant};

use super::control::Stopped;
use super::partition::place_of;
use super::preparation::Preparation;
use sage_batch::{Batch, BatchPool, Column, Inbox, Refused};
use sage_observe::InstanceCounters;
use sage_plan::Partition;

/// Target size of a batch. Larger batches leave the cache and copy at a fifth of the speed. Smaller batches
/// cause too many wake-ups.
pub(super) const BATCH_BYTES: usize = 64 << 10;
/// Target size of a batch for a worker. A batch for a worker costs more than a call in the lane's own thread:
/// 5 % of the CPU of generate to discard. A window of such batches fits into the ring.
const BATCH_BYTES_FOR_WORKERS: usize = 120 << 10;
/// Maximum time to the next batch for which a wake-up is put off. A wake-up and its thread switch cost some
/// 10 µs of CPU.
const MOMENT: Duration = Duration::from_micros(200);
/// Maximum records of a batch.
pub(super) const BATCH_RECORDS: usize = 4096;

/// An output of a lane: sends batches along every edge that leaves it.
pub(super) struct Outlet {
    routes: Vec<Route>,
    pool: Arc<BatchPool>,
}

/// An edge from the view of one sending lane.
pub(super) struct Route {
    partition: Partition,
    /// The receiver's inboxes, ordered by instance and then by lane (one inbox for each instance if its lanes
    /// share it).
    targets: Vec<Target>,
    instances: u32,
    lanes: u32,
    /// The sender's instance (forward), or the next receiver (round-robin).
    turn: usize,
    /// The fields and the key that the edge has. `None` if records go on as they are.
    preparation: Option<Box<dyn Preparation>>,
}

struct Target {
    inbox: Arc<Inbox>,
    /// The edge's position among the inputs of the receiver.
    edge: u32,
    consumer: Arc<InstanceCounters>,
    /// Records that wait until a batch is large enough to send.
    gathered: Batch,
    /// Maximum weight of a batch that the inbox's credit admits.
    heaviest: usize,
    /// Time of the last push.
    pushed: Option<Instant>,
    /// Batches were pushed without waking the receiver.
    quiet: bool,
    /// The buffer of a batch that the receiver no longer needs, still in this CPU's cache.
    spare: Vec<u8>,
}

/// A receiver of a [`Route`].
#[derive(Clone)]
pub(super) struct Destination {
    pub(super) inbox: Arc<Inbox>,
    pub(super) consumer: Arc<InstanceCounters>,
    pub(super) credit: usize,
}

impl Route {
    /// Makes a route along input number `edge` of its receiver. The receivers are `destinations[instance][lane]`. The sender is `instance` and joins
    /// every inbox to which it may send. With forward partitioning these are the inboxes of one instance.
    pub(super) fn new(partition: Partition, destinations: &[Vec<Destination>], instance: u32, edge: u32) -> Self {
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
                    edge,
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
            preparation: None,
        }
    }

    /// The same route, on which records are prepared first.
    pub(super) fn with(self, preparation: Option<Box<dyn Preparation>>) -> Self {
        Self { preparation, ..self }
    }

    fn send(&mut self, batch: Batch, pool: &BatchPool) -> Result<(), Stopped> {
        let Some(preparation) = &mut self.preparation else { return self.spread(batch, pool) };
        let (batch, refused) = preparation.prepare(batch, pool);
        match batch.is_empty() {
            true => pool.put(batch),
            false => self.spread(batch, pool)?,
        }
        let Some(preparation) = &mut self.preparation else { return Ok(()) };
        refused.into_iter().try_for_each(|refused| preparation.refuse(refused))
    }

    fn spread(&mut self, batch: Batch, pool: &BatchPool) -> Result<(), Stopped> {
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

    /// Sends each record to the lane of its key: in `instance`, or in the instance that the key chooses.
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
        if let Some(preparation) = &mut self.preparation {
            preparation.flush()?;
        }
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
            // The run was cut before the gathered records could be sent.
            let gathered = std::mem::take(&mut target.gathered);
            target.lose(gathered);
            target.inbox.leave();
        }
    }
}

impl Target {
    /// Sends a batch, or gathers it if it is small.
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
        let full = self.gathered.content_bytes() >= BATCH_BYTES || self.gathered.len() >= BATCH_RECORDS;
        if full { self.flush(pool) } else { Ok(()) }
    }

    fn flush(&mut self, pool: &BatchPool) -> Result<(), Stopped> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        let batch = std::mem::replace(&mut self.gathered, pool.take());
        self.push(batch, pool)
    }

    /// Pushes a batch into the inbox, in pieces if the whole is heavier than the inbox's credit.
    fn push(&mut self, mut batch: Batch, pool: &BatchPool) -> Result<(), Stopped> {
        batch.set_edge(self.edge);
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
        // Batches in quick succession share one wake-up.
        let now = Instant::now();
        self.quiet = self.pushed.is_some_and(|before| now - before < MOMENT);
        self.pushed = Some(now);
        self.inbox.put(batch, self.quiet, &mut self.spare).map_err(|Refused(batch)| {
            self.lose(batch);
            Stopped
        })
    }

    /// Counts records that the receiver did not get because the pipeline stopped.
    fn lose(&self, batch: Batch) {
        self.consumer.records_in.add(batch.len() as u64);
        self.consumer.unfinished.add(batch.len() as u64);
    }
}

impl Outlet {
    pub(super) fn new(routes: Vec<Route>, pool: Arc<BatchPool>) -> Self {
        Self { routes, pool }
    }

    /// The pool of the batches.
    pub(super) fn pool(&self) -> &BatchPool {
        &self.pool
    }

    /// Returns `true` if a stage reads this output.
    pub(super) fn is_read(&self) -> bool {
        !self.routes.is_empty()
    }

    /// The inbox that receives everything that is sent, if there is only one.
    pub(super) fn only_inbox(&self) -> Option<&Inbox> {
        match self.routes.as_slice() {
            [Route { targets, .. }] => match targets.as_slice() {
                [only] => Some(&only.inbox),
                _ => None,
            },
            _ => None,
        }
    }

    /// Ends this output.
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

    /// An empty batch to fill and [send](Self::send), if possible in memory that was written recently.
    pub(super) fn next_batch(&mut self) -> Batch {
        let spare = self.spare().map(std::mem::take).unwrap_or_default();
        self.pool.take_with(spare)
    }

    /// The target size in bytes of a batch for this output.
    pub(super) fn batch_bytes(&self) -> usize {
        let only = match self.routes.as_slice() {
            [Route { targets, .. }] => targets.as_slice(),
            _ => &[],
        };
        match only {
            // The larger size does not pay if the batch would be cut in two in front of the inbox.
            [only] if only.inbox.has_direct_send() && only.heaviest >= 2 * BATCH_BYTES_FOR_WORKERS => {
                BATCH_BYTES_FOR_WORKERS
            }
            _ => BATCH_BYTES,
        }
    }

    /// Gives a column without a buffer the buffer for the next [send](Self::send).
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

    /// Sends the gathered records, because the lane is idle or its order demands it.
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
