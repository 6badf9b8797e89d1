use std::sync::Arc;
use std::time::Instant;

use super::batch_time::{BatchTime, MOMENT, Run};
use super::follows::Follows;
use super::partition::place_of;
use super::preparation::Preparation;
use super::scatter::Scatter;
use super::stopped::Stopped;
use sage_batch::{Batch, BatchPool, Column, Inbox, Refused, SharedRoom};
use sage_observe::InstanceCounters;
use sage_plan::Partition;

/// Target size of a batch. Larger batches leave the cache and copy at a fifth of the speed. Smaller batches
/// cause too many wake-ups.
pub(super) const BATCH_BYTES: usize = 64 << 10;
/// Target size of a batch for a worker. A batch for a worker costs more than a call in the lane's own thread:
/// 5 % of the CPU of generate to discard. A window of such batches fits into the ring.
const BATCH_BYTES_FOR_WORKERS: usize = 120 << 10;
/// Number of receivers by key from which on batches are held and sent together.
const MANY_TARGETS: usize = 64;
/// Weight of the batches that are held. They are still in the CPU's second-level cache then.
const HELD_BYTES: usize = 1 << 20;
/// Most rows that are added to a batch before its size is looked at.
const ROWS_AT_A_TIME: usize = 64;
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
    /// Round-robin: the time that receivers need for a batch, and the batches of this turn.
    batch_time: Option<Arc<BatchTime>>,
    run: Run,
    /// The room that the receivers share. Not for partitions in which a receiver may be on the sender's thread.
    room: Option<Arc<SharedRoom>>,
    scatter: Scatter,
    /// Key, with many receivers: records that are not yet sent to where they belong.
    held: Batch,
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
    follows: Follows,
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
    /// Makes a route along input number `edge` of its receiver. The receivers are `destinations[instance][lane]`. The
    /// sender is `instance` and joins every inbox to which it may send. With forward partitioning these are the inboxes
    /// of one instance.
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
                    follows: Follows::default(),
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
            batch_time: None,
            room: None,
            run: Run::default(),
            scatter: Scatter::default(),
            held: Batch::new(),
        }
    }

    /// The same route, on which records are prepared first.
    pub(super) fn with(self, preparation: Option<Box<dyn Preparation>>) -> Self {
        Self { preparation, ..self }
    }

    /// The same route, with what the receivers share.
    pub(super) fn with_shared(mut self, batch_time: Option<Arc<BatchTime>>, room: Option<Arc<SharedRoom>>) -> Self {
        let shares = matches!(self.partition, Partition::RoundRobin | Partition::Key);
        self.batch_time = batch_time;
        self.room = room.filter(|_| shares);
        self
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
        if let Some(room) = &self.room {
            room.wait();
        }
        if let [only] = self.targets.as_mut_slice() {
            return only.gather(batch, pool);
        }
        match self.partition {
            Partition::Key if self.targets.len() >= MANY_TARGETS => return self.hold(batch, pool),
            Partition::Key => self.scatter(&batch, pool, None)?,
            Partition::Forward if self.lanes > 1 => self.scatter(&batch, pool, u32::try_from(self.turn).ok())?,
            Partition::Forward => return self.send_to(self.turn, batch, pool),
            Partition::RoundRobin if self.lanes > 1 => {
                let instance = self.next_turn(self.instances as usize);
                self.scatter(&batch, pool, u32::try_from(instance).ok())?;
            }
            Partition::RoundRobin => {
                let turn = self.turn_of_run(batch.weight());
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

    /// Round-robin: the receiver of a batch of this weight. It is the receiver of the last batch while batches come in
    /// quick succession, as long as they are a short run for it: see [`BatchTime`].
    fn turn_of_run(&mut self, weight: usize) -> usize {
        let last = self.turn.wrapping_sub(1) % self.targets.len().max(1);
        let credit = self.targets.get(last).map_or(0, |target| target.heaviest / weight.max(1));
        let most = self.batch_time.as_ref().map_or(1, |batch_time| batch_time.run()).min(credit);
        let turn = if self.run.goes_on(Instant::now(), most) { last } else { self.next_turn(self.targets.len()) };
        if let Some(target) = self.targets.get_mut(turn).filter(|_| most > 1) {
            target.follows = if self.run.is_over(most) { Follows::Last } else { Follows::Run };
        }
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
        let (instances, lanes) = (self.instances, self.lanes);
        let place = |row| {
            let key = batch.keys().and_then(|keys| keys.get(row)).unwrap_or_default();
            let (chosen, lane) = place_of(key, instances, lanes);
            instance.unwrap_or(chosen) * lanes + lane
        };
        self.scatter.sort(batch.len(), self.targets.len(), place);
        let mut sent = Ok(());
        for (rows, target) in self.scatter.groups().zip(&mut self.targets) {
            match sent {
                Ok(()) => sent = target.append_rows(batch, rows, pool),
                Err(Stopped) => target.lose(rows.len()),
            }
        }
        sent
    }

    /// Key, with many receivers: sends the records of several batches together, so that each receiver gets several of
    /// them at a time. With a thousand receivers, a batch has two for each.
    fn hold(&mut self, batch: Batch, pool: &BatchPool) -> Result<(), Stopped> {
        let mut sent = Ok(());
        if !self.held.append_range(&batch, 0, batch.len()) {
            sent = self.scatter_held(pool);
            // An empty batch takes any shape.
            let _ = self.held.append_range(&batch, 0, batch.len());
        }
        pool.put(batch);
        sent?;
        if self.held.weight() >= HELD_BYTES { self.scatter_held(pool) } else { Ok(()) }
    }

    fn scatter_held(&mut self, pool: &BatchPool) -> Result<(), Stopped> {
        let mut held = std::mem::take(&mut self.held);
        let sent = self.scatter(&held, pool, None);
        held.clear();
        self.held = held;
        sent
    }

    fn flush(&mut self, pool: &BatchPool) -> Result<(), Stopped> {
        if let Some(preparation) = &mut self.preparation {
            preparation.flush()?;
        }
        if !self.held.is_empty() {
            self.scatter_held(pool)?;
            // An idle sender keeps no large buffer.
            self.held = Batch::new();
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
        // The run was cut before the held and the gathered records could be sent. The first receiver answers for the
        // held ones.
        let held = std::mem::take(&mut self.held).len();
        self.targets.iter().take(1).for_each(|target| target.lose(held));
        for target in &mut self.targets {
            let gathered = std::mem::take(&mut target.gathered);
            target.lose(gathered.len());
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

    fn append_rows(&mut self, batch: &Batch, rows: &[u32], pool: &BatchPool) -> Result<(), Stopped> {
        let mut sent = Ok(());
        for rows in rows.chunks(ROWS_AT_A_TIME) {
            if sent.is_err() {
                self.lose(rows.len());
                continue;
            }
            if !self.gathered.append_rows(batch, rows) {
                sent = self.flush(pool);
                // An empty batch takes any shape.
                let _ = self.gathered.append_rows(batch, rows);
            }
            sent = sent.and_then(|()| self.flush_if_full(pool));
        }
        sent
    }

    fn append(&mut self, batch: &Batch, start: usize, end: usize, pool: &BatchPool) -> Result<(), Stopped> {
        if !self.gathered.append_range(batch, start, end) {
            self.flush(pool)?;
            // An empty batch takes any shape.
            let _ = self.gathered.append_range(batch, start, end);
        }
        self.flush_if_full(pool)
    }

    fn flush_if_full(&mut self, pool: &BatchPool) -> Result<(), Stopped> {
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
        let recent = self.pushed.is_some_and(|before| now - before < MOMENT);
        self.pushed = Some(now);
        let follows = std::mem::take(&mut self.follows);
        self.quiet = match follows {
            Follows::Unknown | Follows::Run => recent,
            Follows::Last => false,
            Follows::Answers => true,
        };
        self.inbox.put(batch, self.quiet, &mut self.spare).map_err(|Refused(batch)| {
            self.lose(batch.len());
            Stopped
        })?;
        if follows == Follows::Run && !self.quiet {
            self.inbox.expect_more();
        }
        Ok(())
    }

    /// Counts records that the receiver did not get because the pipeline stopped.
    fn lose(&self, records: usize) {
        self.consumer.records_in.add(records as u64);
        self.consumer.unfinished.add(records as u64);
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

    /// Marks an epoch at every receiver, which must be flushed. Nothing is sent before the epoch is over.
    pub(super) fn mark(&self, epoch: u64) {
        for route in &self.routes {
            if let Some(preparation) = &route.preparation {
                preparation.mark(epoch);
            }
            route.targets.iter().for_each(|target| target.inbox.mark(epoch));
        }
    }

    /// Ends this output.
    pub(super) fn leave(&mut self) {
        self.routes.drain(..).for_each(|mut route| route.leave());
    }

    /// Declares that the answers to further batches follow, so that the receiver need not be woken for each.
    pub(super) fn answers_follow(&mut self) {
        if let [Route { targets, .. }] = self.routes.as_mut_slice()
            && let [only] = targets.as_mut_slice()
        {
            only.follows = Follows::Answers;
        }
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

#[cfg(test)]
#[path = "outlet_tests.rs"]
mod tests;
