use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::batch_time::BatchTime;
use super::control::Control;
use super::field_reader::FieldReader;
use super::field_text::FieldText;
use super::lane_guest::{InFlight, LaneGuest};
use super::stopped::Stopped;
use sage_batch::{Batch, BatchPool, DirectSend, Inbox, NotTaken, Popped};
use sage_observe::{InstanceCounters, Latency};
use sage_sandbox::Failure;
use sage_time::Watermark;

/// The input of a lane: its inbox, and before the batches that wait there, the batches that a failed guest
/// returned.
///
/// A watermark that comes without a batch waits until everything before it was answered. Behind a batch that moves
/// event time on, nothing is handed over to a guest with timers before the lane has [reached](Inlet::reached) that
/// time: its timers fire before it sees later records.
///
/// If the guest has a [`DirectSend`], batches bypass the lane while nothing waits here. The bypass is only open
/// then: after a failure the returned batches go first.
pub(super) struct Inlet {
    inbox: Arc<Inbox>,
    direct_send: Option<Arc<dyn DirectSend>>,
    /// Whether the direct send is open, as long as the inbox has no batches.
    open: bool,
    /// Batches to hand over before all others, oldest first.
    waiting: VecDeque<InFlight>,
    ended: bool,
    tally: Tally,
    form: Form,
    pool: Arc<BatchPool>,
    /// Consecutive sleeps without a batch.
    looks: u32,
    /// Records that had come before the last sleep.
    came: u64,
    /// Where the time of calls is noted, if senders look at it.
    batch_time: Option<Arc<BatchTime>>,
    /// The last epoch whose mark has come, and whether the lane has yet to cross it.
    marked: u64,
    crosses: bool,
    risen: Option<Risen>,
    /// The event time that the lane has reached, and whether the guest waits until it has reached a later one.
    reached: Watermark,
    is_timed: bool,
    waits_for_timers: bool,
}

/// A watermark that has come without a batch.
struct Risen {
    watermark: Watermark,
    /// Its number in the inbox.
    ticket: u64,
    /// Number of batches that came before it and are not answered yet.
    behind: usize,
}

/// The form in which a guest takes records.
pub(super) enum Form {
    /// As text or bytes. `None`: no record comes without them.
    Bytes(Option<FieldText>),
    /// By field. The records of each edge have a reader of their own.
    Fields(Vec<FieldReader>),
}

/// Counts the records that a lane takes in.
pub(super) struct Tally {
    pub(super) counters: Arc<InstanceCounters>,
    pub(super) control: Arc<Control>,
    /// A sink component: the latency of its records up to this point.
    pub(super) latency: Option<Arc<Latency>>,
}

/// Maximum sleep of a lane before it checks whether its guest owes it an answer. The lane is not notified of
/// batches that bypass it. Each sleep in which nothing came makes the next one longer by this, up to five times this.
pub(super) const LOOK_UP: Duration = Duration::from_secs(1);
/// Longest sleep in units of [`LOOK_UP`].
pub(super) const LONGEST_LOOK_UP: u32 = 5;

impl Form {
    /// Whether batches may go to the guest past its lane.
    fn allows_bypass(&self) -> bool {
        matches!(self, Self::Bytes(None))
    }
}

impl Inlet {
    /// Makes an inlet. `guest` is the guest that receives the batches.
    pub(super) fn new(
        inbox: Arc<Inbox>,
        tally: Tally,
        guest: &mut dyn LaneGuest,
        form: Form,
        pool: Arc<BatchPool>,
        batch_time: Option<Arc<BatchTime>>,
    ) -> Self {
        let direct_send = guest.direct().map(|guest| guest.direct_send());
        if let Some(direct_send) = &direct_send {
            let counters = Arc::clone(&tally.counters);
            inbox.set_direct_send(Arc::new(Counted { direct_send: Arc::clone(direct_send), counters }));
        }
        Self {
            inbox,
            direct_send,
            open: false,
            waiting: VecDeque::new(),
            ended: false,
            tally,
            form,
            pool,
            looks: 0,
            came: 0,
            batch_time,
            marked: 0,
            crosses: false,
            risen: None,
            reached: Watermark::NONE,
            is_timed: guest.has_timers(),
            waits_for_timers: false,
        }
    }

    /// Hands over the available batches, as far as the guest has room.
    pub(super) fn fill(&mut self, guest: &mut dyn LaneGuest) -> Result<(), Stopped> {
        while guest.has_room() && !self.waits_for_timers {
            if self.waiting.is_empty() && self.risen.is_some() {
                return Ok(());
            }
            let next = match self.waiting.pop_front() {
                Some(held) => held,
                None => match self.next(guest)? {
                    Some(held) => held,
                    None => return Ok(()),
                },
            };
            // A guest elsewhere only takes the batch; its calls have no time here.
            let batch_time = self.batch_time.as_deref().filter(|_| self.direct_send.is_none());
            let begun = batch_time.map(|batch_time| (batch_time, Instant::now()));
            let now = next.batch.watermark();
            let moves_on =
                self.is_timed && now.time > self.reached.time && guest.waits_between(self.reached.time, now.time);
            if let Err(held) = guest.hand_over(next) {
                self.waiting.push_front(held);
                return Ok(());
            }
            self.waits_for_timers = moves_on;
            if let Some((batch_time, begun)) = begun {
                batch_time.worked(begun.elapsed());
            }
        }
        Ok(())
    }

    /// Waits until there may be work, for at most `timeout`. The inner error is the failure of a lost guest.
    pub(super) fn wait(
        &mut self,
        guest: &mut dyn LaneGuest,
        timeout: Option<Duration>,
    ) -> Result<Result<(), Failure>, Stopped> {
        if self.risen.is_some() {
            return Ok(Ok(()));
        }
        if guest.direct().is_some() {
            let waiting = self.next(guest)?;
            let idle = waiting.is_none() && !self.ended && !self.crosses && self.risen.is_none();
            self.waiting.extend(waiting);
            if !idle {
                return Ok(Ok(()));
            }
            let came = self.tally.counters.records_in.get();
            self.looks = if came == self.came { LONGEST_LOOK_UP.min(self.looks + 1) } else { 1 };
            self.came = came;
            let most = LOOK_UP * self.looks;
            let most = timeout.map_or(most, |timeout| timeout.min(most));
            return Ok(guest.direct().map_or(Ok(()), |guest| guest.wait(most)));
        }
        let popped = self.inbox.pop(timeout, self.marked);
        let waiting = self.admit(popped, guest)?;
        self.waiting.extend(waiting);
        Ok(Ok(()))
    }

    /// Takes batches back from a guest. They are handed over next.
    pub(super) fn returned(&mut self, mut batches: VecDeque<InFlight>) {
        if self.direct_send.is_some() {
            self.open = false;
            self.inbox.close_entrance();
        }
        batches.append(&mut self.waiting);
        self.waiting = batches;
    }

    /// Releases the senders that wait at the direct send, if there is room. Called after an answer was taken.
    pub(super) fn went_on(&self) {
        if self.direct_send.as_ref().is_some_and(|direct_send| direct_send.is_low()) {
            self.inbox.entrance_drained();
        }
    }

    /// Returns `true` if no batch waits to be handed over.
    pub(super) fn is_clear(&self) -> bool {
        self.waiting.is_empty() && !self.crosses && (self.ended || !self.inbox.has_news())
    }

    /// Returns `true` if a guest in the lane's own thread will be called again at once.
    pub(super) fn goes_on(&self) -> bool {
        self.direct_send.is_none() && (!self.waiting.is_empty() || (!self.ended && self.inbox.has_news()))
    }

    pub(super) fn has_direct_send(&self) -> bool {
        self.direct_send.is_some() && self.allows_bypass()
    }

    /// Whether batches may go to the guest past its lane.
    fn allows_bypass(&self) -> bool {
        self.form.allows_bypass() && !self.is_timed
    }

    /// A watermark that has come without a batch, with its number in the inbox, if everything before it was answered.
    pub(super) fn take_risen(&mut self) -> Option<(Watermark, u64)> {
        let risen = self.risen.take_if(|risen| risen.behind == 0)?;
        Some((risen.watermark, risen.ticket))
    }

    /// The answer to a batch was taken.
    pub(super) fn answered(&mut self) {
        if let Some(risen) = &mut self.risen {
            risen.behind = risen.behind.saturating_sub(1);
        }
    }

    /// The lane has reached this event time.
    pub(super) fn reached(&mut self, watermark: Watermark) {
        (self.reached, self.waits_for_timers) = (watermark, false);
    }

    pub(super) fn inbox(&self) -> &Arc<Inbox> {
        &self.inbox
    }

    /// The epoch that the lane has to cross, if everything before it was handed over. It is the caller's from now on.
    pub(super) fn take_crossing(&mut self) -> Option<u64> {
        let crosses = self.crosses && self.waiting.is_empty() && self.risen.is_none();
        self.crosses &= !crosses;
        crosses.then_some(self.marked)
    }

    /// Returns `true` if no batch is left and none will come.
    pub(super) fn has_ended(&self) -> bool {
        self.ended && self.waiting.is_empty() && self.risen.is_none()
    }

    fn next(&mut self, guest: &dyn LaneGuest) -> Result<Option<InFlight>, Stopped> {
        let popped = match &self.direct_send {
            // Batches that bypass the lane would not get their form.
            Some(_) if !self.allows_bypass() => return self.next_in_line(guest),
            None => return self.next_in_line(guest),
            Some(_) if self.open && !self.inbox.has_news() => return Ok(None),
            Some(_) => self.inbox.pop_or_open(self.marked),
        };
        self.open = matches!(popped, Popped::Empty | Popped::Mark(_));
        self.admit(popped, guest)
    }

    fn next_in_line(&mut self, guest: &dyn LaneGuest) -> Result<Option<InFlight>, Stopped> {
        let popped = self.inbox.pop(Some(Duration::ZERO), self.marked);
        self.admit(popped, guest)
    }

    fn admit(&mut self, popped: Popped, guest: &dyn LaneGuest) -> Result<Option<InFlight>, Stopped> {
        match popped {
            Popped::Batch(batch, ticket) => {
                self.tally.count(&batch);
                let watermark = batch.watermark();
                let (mut batch, unread) = match &mut self.form {
                    Form::Bytes(None) => (batch, None),
                    Form::Bytes(Some(text)) => text.write(batch, &self.pool),
                    Form::Fields(readers) => {
                        let at = usize::try_from(batch.edge()).unwrap_or(usize::MAX);
                        match readers.get_mut(at) {
                            Some(reader) => reader.read(batch, &self.pool),
                            None => (batch, None),
                        }
                    }
                };
                batch.set_watermark(watermark);
                Ok(Some(InFlight { batch, ticket, unread }))
            }
            Popped::Watermark(watermark, ticket) => {
                let behind = guest.in_flight() + self.waiting.len();
                self.risen = Some(Risen { watermark, ticket, behind });
                Ok(None)
            }
            Popped::Empty => Ok(None),
            Popped::Mark(epoch) => {
                (self.marked, self.crosses) = (epoch, true);
                Ok(None)
            }
            Popped::End => {
                self.ended = true;
                Ok(None)
            }
            Popped::Cut => Err(Stopped),
        }
    }
}

impl Drop for Inlet {
    fn drop(&mut self) {
        if self.direct_send.is_some() {
            self.inbox.close_entrance();
        }
    }
}

impl Tally {
    fn count(&self, batch: &Batch) {
        let rows = batch.len() as u64;
        self.counters.records_in.add(rows);
        self.counters.bytes_in.add(batch.record_bytes() as u64);
        if let Some(latency) = &self.latency {
            latency.record(self.control.now().saturating_sub(batch.ingested()), rows);
        }
    }
}

/// A direct send whose batches are counted as taken in.
#[derive(Debug)]
struct Counted {
    direct_send: Arc<dyn DirectSend>,
    counters: Arc<InstanceCounters>,
}

impl DirectSend for Counted {
    fn take(&self, batch: Batch, coalesced: bool, spare: &mut Vec<u8>) -> Result<(), NotTaken> {
        let (rows, bytes) = (batch.len() as u64, batch.record_bytes() as u64);
        self.direct_send.take(batch, coalesced, spare)?;
        self.counters.records_in.add(rows);
        self.counters.bytes_in.add(bytes);
        Ok(())
    }

    fn announce(&self) {
        self.direct_send.announce();
    }

    fn wake(&self) {
        self.direct_send.wake();
    }

    fn is_low(&self) -> bool {
        self.direct_send.is_low()
    }

    fn bytes(&self) -> usize {
        self.direct_send.bytes()
    }
}
