use std::sync::Arc;
use std::time::{Duration, Instant};

use super::batch_time::{BatchTime, Run};
use super::follows::Follows;
use super::partition::place_of;
use super::preparation::Preparation;
use super::scatter::Scatter;
use super::stopped::Stopped;
use super::target::{BATCH_BYTES, Destination, Sending, Target};
use sage_batch::{Batch, BatchPool, Column, Inbox, Producer, SharedRoom};
use sage_plan::Partition;
use sage_time::Watermark;

/// Target size of a batch for a worker. A batch for a worker costs more than a call in the lane's own thread:
/// 5 % of the CPU of generate to discard. A window of such batches fits into the ring.
const BATCH_BYTES_FOR_WORKERS: usize = 120 << 10;
/// Number of receivers by key from which on batches are held and sent together.
const MANY_TARGETS: usize = 64;
/// Weight of the batches that are held. They are still in the CPU's second-level cache then.
const HELD_BYTES: usize = 1 << 20;
/// An output of a lane: sends batches along every edge that leaves it.
pub(super) struct Outlet {
    routes: Vec<Route>,
    pool: Arc<BatchPool>,
    /// How far event time is behind everything that was sent.
    watermark: Watermark,
    /// When receivers in silence are told of the watermark, if some may not know it.
    tells: Option<Instant>,
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
    /// How far event time is behind everything that was sent, and behind everything that is not held.
    watermark: Watermark,
    settled: Watermark,
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
        let targets: Vec<_> = destinations.iter().flatten().map(|to| Target::new(to, edge)).collect();
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
            watermark: Watermark::NONE,
            settled: Watermark::NONE,
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

    fn sending<'p>(&self, pool: &'p BatchPool) -> Sending<'p> {
        Sending { pool, watermark: self.settled }
    }

    fn spread(&mut self, batch: Batch, pool: &BatchPool) -> Result<(), Stopped> {
        if let Some(room) = &self.room {
            room.wait();
        }
        let sending = self.sending(pool);
        if let [only] = self.targets.as_mut_slice() {
            return only.gather(batch, sending);
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
                    target.gather(copy_of(&batch, pool), sending)?;
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
        let sending = self.sending(pool);
        match self.targets.get_mut(target) {
            Some(target) => target.gather(batch, sending),
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
        let sending = self.sending(pool);
        let mut sent = Ok(());
        for (rows, target) in self.scatter.groups().zip(&mut self.targets) {
            match sent {
                Ok(()) => sent = target.append_rows(batch, rows, sending),
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
        self.settled = self.watermark;
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
        let sending = self.sending(pool);
        self.targets.iter_mut().try_for_each(|target| {
            target.flush(sending)?;
            if std::mem::take(&mut target.quiet) {
                target.inbox.announce();
            }
            Ok(())
        })
    }

    /// Moves event time on behind everything that was sent.
    fn advance(&mut self, to: Watermark) {
        self.watermark = to;
        if self.held.is_empty() {
            self.settled = to;
        }
        if let Some(preparation) = &mut self.preparation {
            preparation.advance(to);
        }
    }

    /// Tells receivers in silence of the watermark. Returns the time until the next has to be told.
    fn tell_in_silence(&mut self, pool: &BatchPool, now: Instant) -> Result<Option<Duration>, Stopped> {
        if self.settled != self.watermark {
            self.scatter_held(pool)?;
        }
        let sending = self.sending(pool);
        let mut next = match &mut self.preparation {
            Some(preparation) => preparation.tell_in_silence()?,
            None => None,
        };
        for target in &mut self.targets {
            next = sooner(next, target.tell_in_silence(sending, now)?);
        }
        Ok(next)
    }

    /// Tells every receiver of the watermark.
    fn tell(&mut self, pool: &BatchPool) -> Result<(), Stopped> {
        if let Some(preparation) = &mut self.preparation {
            preparation.tell()?;
        }
        let sending = self.sending(pool);
        self.targets.iter_mut().try_for_each(|target| target.tell(sending))
    }

    /// Marks an epoch at every receiver.
    fn mark(&mut self, epoch: u64) -> Result<(), Stopped> {
        if let Some(preparation) = &mut self.preparation {
            preparation.mark(epoch)?;
        }
        self.targets.iter().for_each(|target| target.inbox.mark(epoch));
        Ok(())
    }

    /// Each of its producers, in order.
    fn producers(&mut self) -> Vec<Producer> {
        let rejects = self.preparation.as_mut().map(|preparation| preparation.producers());
        self.targets.iter().map(Target::producer).chain(rejects.into_iter().flatten()).collect()
    }

    fn join_as(&mut self, producers: &mut dyn Iterator<Item = Producer>) {
        self.targets.iter_mut().zip(&mut *producers).for_each(|(target, producer)| target.join_as(producer));
        if let Some(preparation) = &mut self.preparation {
            preparation.join_as(producers);
        }
    }

    fn leave(&mut self) {
        // The run was cut before the held and the gathered records could be sent. The first receiver answers for the
        // held ones.
        let held = std::mem::take(&mut self.held).len();
        self.targets.iter().take(1).for_each(|target| target.lose(held));
        for target in &mut self.targets {
            let gathered = std::mem::take(&mut target.gathered);
            target.lose(gathered.len());
            target.leave();
        }
    }
}

impl Outlet {
    pub(super) fn new(routes: Vec<Route>, pool: Arc<BatchPool>) -> Self {
        Self { routes, pool, watermark: Watermark::NONE, tells: None }
    }

    /// Moves event time on behind everything that was sent. Receivers learn of it with the next batch, or when they
    /// have heard nothing for a while.
    pub(super) fn advance(&mut self, to: Watermark) {
        if to == self.watermark {
            return;
        }
        self.watermark = to;
        self.routes.iter_mut().for_each(|route| route.advance(to));
        if !self.routes.is_empty() {
            self.tells.get_or_insert_with(Instant::now);
        }
    }

    /// Tells receivers in silence of the watermark, if it is time. The lane calls it after each batch, and when it has
    /// slept for [the time until then](Outlet::tells_in).
    pub(super) fn tell_in_silence(&mut self) -> Result<(), Stopped> {
        let Some(tells) = self.tells else { return Ok(()) };
        let now = Instant::now();
        if tells > now {
            return Ok(());
        }
        let mut next = None;
        for route in &mut self.routes {
            next = sooner(next, route.tell_in_silence(&self.pool, now)?);
        }
        self.tells = next.map(|next| now + next);
        Ok(())
    }

    /// Tells every receiver, which must be flushed, of the watermark at once.
    pub(super) fn tell(&mut self) -> Result<(), Stopped> {
        match self.tells.take() {
            Some(_) => self.routes.iter_mut().try_for_each(|route| route.tell(&self.pool)),
            None => Ok(()),
        }
    }

    /// The time until receivers have to be told of the watermark.
    pub(super) fn tells_in(&self) -> Option<Duration> {
        Some(self.tells?.saturating_duration_since(Instant::now()))
    }

    /// Each of the lane's producers at its receivers, in order.
    pub(super) fn producers(&mut self) -> Vec<Producer> {
        self.routes.iter_mut().flat_map(Route::producers).collect()
    }

    /// The lane sends as a part of these producers, which are those of another lane of its instance. Only lanes that
    /// send in one order may do so.
    pub(super) fn join_as(&mut self, producers: &mut dyn Iterator<Item = Producer>) {
        self.routes.iter_mut().for_each(|route| route.join_as(producers));
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

    /// Tells every receiver, which must be flushed, of the watermark, and marks an epoch behind it. Nothing is sent
    /// before the epoch is over.
    pub(super) fn mark(&mut self, epoch: u64) -> Result<(), Stopped> {
        self.tell()?;
        self.routes.iter_mut().try_for_each(|route| route.mark(epoch))
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

fn sooner(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    one.into_iter().chain(other).min()
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
