use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::control::{Control, Stopped};
use super::lane_guest::{InFlight, LaneGuest};
use sage_batch::{Batch, DirectSend, Inbox, NotTaken, Popped};
use sage_observe::{InstanceCounters, Latency};
use sage_sandbox::Failure;

/// Where a lane's batches come from: its inbox, and, before what waits there, those that came back from a guest that failed.
///
/// Where its guest has an [`DirectSend`], batches go past the lane while nothing waits here. It is open only then: after a failure what came back goes first.
pub(super) struct Inlet {
    inbox: Arc<Inbox>,
    direct_send: Option<Arc<dyn DirectSend>>,
    /// The direct_send is open, unless the inbox has batches.
    open: bool,
    /// To be handed over before anything else, oldest first.
    waiting: VecDeque<InFlight>,
    ended: bool,
    tally: Tally,
}

/// Counts what a lane takes in.
pub(super) struct Tally {
    pub(super) counters: Arc<InstanceCounters>,
    pub(super) control: Arc<Control>,
    /// A sink component: how long its records took to get here.
    pub(super) latency: Option<Arc<Latency>>,
}

/// How long a lane sleeps at the most before it looks whether its guest owes it an answer: it is not told of batches that went past it.
const LOOK_UP: Duration = Duration::from_secs(1);

impl Inlet {
    /// `guest` is the one that the batches are for.
    pub(super) fn new(inbox: Arc<Inbox>, tally: Tally, guest: &dyn LaneGuest) -> Self {
        let direct_send = guest.direct_send();
        if let Some(direct_send) = &direct_send {
            let counters = Arc::clone(&tally.counters);
            inbox.set_entrance(Arc::new(Counted { direct_send: Arc::clone(direct_send), counters }));
        }
        Self { inbox, direct_send, open: false, waiting: VecDeque::new(), ended: false, tally }
    }

    /// Hands over what is here already, as much as the guest has room for.
    pub(super) fn fill(&mut self, guest: &mut dyn LaneGuest) -> Result<(), Stopped> {
        while guest.has_room() {
            let next = match self.waiting.pop_front() {
                Some(held) => held,
                None => match self.next()? {
                    Some(held) => held,
                    None => return Ok(()),
                },
            };
            if let Err(held) = guest.hand_over(next) {
                self.waiting.push_front(held);
                return Ok(());
            }
        }
        Ok(())
    }

    /// Waits until there may be something to do, for `timeout` at the longest. Inside, the guest is lost.
    pub(super) fn wait(
        &mut self,
        guest: &mut dyn LaneGuest,
        timeout: Option<Duration>,
    ) -> Result<Result<(), Failure>, Stopped> {
        if self.direct_send.is_some() {
            let waiting = self.next()?;
            let idle = waiting.is_none() && !self.ended;
            self.waiting.extend(waiting);
            return Ok(if idle { guest.wait(LOOK_UP) } else { Ok(()) });
        }
        let popped = self.inbox.pop(timeout);
        let waiting = self.admit(popped)?;
        self.waiting.extend(waiting);
        Ok(Ok(()))
    }

    /// Batches that were handed over come back: they are the next ones.
    pub(super) fn returned(&mut self, mut batches: VecDeque<InFlight>) {
        if self.direct_send.is_some() {
            self.open = false;
            self.inbox.close_entrance();
        }
        batches.append(&mut self.waiting);
        self.waiting = batches;
    }

    /// An answer was taken: whoever waits at the direct_send may go on, if there is room for some.
    pub(super) fn went_on(&self) {
        if self.direct_send.as_ref().is_some_and(|direct_send| direct_send.is_low()) {
            self.inbox.entrance_drained();
        }
    }

    /// Nothing waits to be handed over.
    pub(super) fn is_clear(&self) -> bool {
        self.waiting.is_empty() && (self.ended || !self.inbox.has_news())
    }

    pub(super) fn has_entrance(&self) -> bool {
        self.direct_send.is_some()
    }

    pub(super) fn inbox(&self) -> &Arc<Inbox> {
        &self.inbox
    }

    /// Nothing is left, and nothing comes any more.
    pub(super) fn has_ended(&self) -> bool {
        self.ended && self.waiting.is_empty()
    }

    fn next(&mut self) -> Result<Option<InFlight>, Stopped> {
        let popped = match &self.direct_send {
            None => self.inbox.pop(Some(Duration::ZERO)),
            Some(_) if self.open && !self.inbox.has_news() => return Ok(None),
            Some(_) => self.inbox.pop_or_open(),
        };
        self.open = matches!(popped, Popped::Empty);
        self.admit(popped)
    }

    fn admit(&mut self, popped: Popped) -> Result<Option<InFlight>, Stopped> {
        match popped {
            Popped::Batch(batch, ticket) => {
                self.tally.count(&batch);
                Ok(Some(InFlight { batch, ticket }))
            }
            Popped::Empty => Ok(None),
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
        self.counters.bytes_in.add(batch.payloads().byte_len() as u64);
        if let Some(latency) = &self.latency {
            latency.record(self.control.now().saturating_sub(batch.ingested()), rows);
        }
    }
}

/// An direct_send whose batches are counted as taken in.
#[derive(Debug)]
struct Counted {
    direct_send: Arc<dyn DirectSend>,
    counters: Arc<InstanceCounters>,
}

impl DirectSend for Counted {
    fn take(&self, batch: Batch, coalesced: bool, spare: &mut Vec<u8>) -> Result<(), NotTaken> {
        let (rows, bytes) = (batch.len() as u64, batch.payloads().byte_len() as u64);
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
