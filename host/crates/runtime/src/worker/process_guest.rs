use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::in_flight::{Answering, InFlightBatches, write_call};
use super::instance::{GRACE, Instance};
use super::message::{LONGEST_POSITION, Report, ask, get_progress};
use crate::engine::{InFlight, LaneGuest, Measured, Wakers};
use sage_batch::wire::{WireError, get_bytes, put_bytes, put_u64};
use sage_batch::{Batch, DirectSend};
use sage_machine::MemoryBudget;
use sage_observe::GuestMetrics;
use sage_plan::Kind;
use sage_process::Link;
use sage_sandbox::{Answer, Failure, FailureCode, GuestLog, GuestSpec, KeyedState, LogTo, Progress};

/// A lane's guest in a worker process.
///
/// **What is where.** The guest, and the keyed state that it works with, are in the worker. Here are the batches that were handed over
/// ([`InFlightBatches`]) and a copy of the keyed state, which follows with each answer: answer and state change come in one message, so a worker that
/// dies has either done both or neither, and the next one goes on from the copy.
///
/// **Trust.** What comes from the worker is checked as if its guest had sent it. A worker that breaks the protocol is ended.
pub(super) struct ProcessGuest {
    instance: Arc<Instance>,
    lane: usize,
    kind: Kind,
    link: Option<Link>,
    /// Which of the instance's processes the link leads to.
    process: u64,
    answer: Answer,
    /// What is under way, and, while the guest takes batches, the link's writing half.
    in_flight: Arc<InFlightBatches>,
    /// Batches that were under way when the guest failed.
    back: VecDeque<InFlight>,
    /// Since when an answer is due that has not begun, and whether the process was seen to have died: for a thread that waits for several guests.
    silent_since: Option<Instant>,
    gone: bool,
    /// What went wrong before anybody asked for an answer.
    failed: Option<Failure>,
    state: Option<KeyedState>,
    changes: Vec<u8>,
    position: Vec<u8>,
    budget: Arc<MemoryBudget>,
    metrics: Arc<GuestMetrics>,
    log: GuestLog,
    measured: Measured,
    /// Since when the process is this lane's, and what it has claimed to have used in that time.
    since: Instant,
    claimed: (Duration, Duration),
}

/// How many batches are handed over before the first answer is waited for, so that the worker has the next ones at hand while this side sends on the
/// last ones: answers then come several at a waking.
const WINDOW: usize = 8;
/// Of several lanes, each takes fewer, so that a short queue is shared by all.
const WINDOW_OF_MANY: usize = 2;
/// How much room for changes is kept from one call to the next.
const KEEP_CHANGES: usize = 1 << 20;
/// The longest that all changes of one call may be: the state's memory bounds them.
const LONGEST_CHANGES: u64 = 4 << 30;

impl ProcessGuest {
    /// `copies` is what the copies of keyed state of all lanes may take together.
    pub(super) fn new(
        instance: Arc<Instance>,
        lane: usize,
        spec: &GuestSpec,
        (kind, ports): (Kind, u32),
        copies: &Arc<MemoryBudget>,
    ) -> Self {
        let mut answer = Answer::new(kind, &spec.limits);
        answer.set_ports(ports);
        let rate = spec.limits.log_bytes_per_second;
        let window = if instance.template.lanes.len() > 1 { WINDOW_OF_MANY } else { WINDOW };
        Self {
            lane,
            kind,
            link: None,
            process: 0,
            answer,
            in_flight: Arc::new(InFlightBatches::new(kind, window)),
            back: VecDeque::new(),
            silent_since: None,
            gone: false,
            failed: None,
            state: (kind == Kind::Process).then(|| KeyedState::new(Arc::clone(copies))),
            changes: Vec::new(),
            position: Vec::new(),
            budget: Arc::clone(&spec.budget),
            metrics: Arc::clone(&spec.metrics),
            log: GuestLog::new(LogTo::Here, Arc::clone(&spec.operator), spec.instance, rate),
            measured: Measured::default(),
            since: Instant::now(),
            claimed: Default::default(),
            instance,
        }
    }

    /// Has the next guest started in a process that has the keyed state.
    fn connect(&mut self) -> Result<Link, Failure> {
        if let Some(link) = self.link.take() {
            return Ok(link);
        }
        (self.since, self.claimed) = (Instant::now(), Default::default());
        let (mut link, process) = self.instance.attach(self.lane, self.process)?;
        self.process = process;
        // Behind one answer there may be two calls of the guest: its start and `open`, `next` and `position`.
        link.set_patience(Some(self.instance.template.limits.call_timeout.saturating_mul(2).saturating_add(GRACE)));
        let Some(state) = &self.state else { return Ok(link) };
        let seeded = state.copy_out(|chunk| {
            link.begin();
            put_u64(&mut link, ask::STATE)?;
            put_bytes(&mut link, chunk)?;
            link.send();
            let report = Report::read(&mut link)?;
            link.taken();
            match report.failure {
                None => Ok(()),
                Some(failure) => Err(WireError::broken(failure.to_string())),
            }
        });
        match seeded {
            Ok(()) => Ok(link),
            Err(error) => Err(self.lost(&error)),
        }
    }

    /// Asks for one thing and waits for its answer, of which `rest` reads what comes after the report. Nothing is under way.
    fn ask<T>(
        &mut self,
        request: impl FnOnce(&mut Link) -> Result<(), WireError>,
        rest: impl FnOnce(&mut Self, &mut Link) -> Result<T, WireError>,
    ) -> Result<T, Failure> {
        let Some(mut link) = self.whole_link() else { return Err(no_guest()) };
        link.begin();
        let sent = request(&mut link).map(|()| link.send());
        match sent {
            Ok(()) => self.hear(link, rest),
            Err(error) => Err(self.lost(&error)),
        }
    }

    /// Waits for an answer.
    fn hear<T>(
        &mut self,
        mut link: Link,
        rest: impl FnOnce(&mut Self, &mut Link) -> Result<T, WireError>,
    ) -> Result<T, Failure> {
        link.begin();
        let heard = Report::read(&mut link).and_then(|report| match self.note(report) {
            Some(failure) => Ok(Err(failure)),
            None => rest(self, &mut link).map(Ok),
        });
        match heard {
            Ok(answer) => {
                link.taken();
                self.link = Some(link);
                answer
            }
            Err(error) => Err(self.lost(&error)),
        }
    }

    /// The link with both its halves: no batch is handed over meanwhile.
    fn whole_link(&mut self) -> Option<Link> {
        let mut link = self.link.take()?;
        if let Some(out) = self.in_flight.stop() {
            link.give_back(out);
        }
        Some(link)
    }

    /// From now on batches may be handed over.
    fn open(&mut self) {
        if let Some(link) = &mut self.link
            && let Some(out) = link.lend()
        {
            self.in_flight.begin(out, link.doorbell());
        }
    }

    /// The guest failed, in the call over `answering` if there is one: nothing is handed over any more, and everything comes back. The failed one's
    /// batch is the answer.
    fn take_all_back(&mut self, answering: Option<Answering>) -> Option<InFlight> {
        let out = self.in_flight.stop();
        let failed = answering.is_some();
        self.back = self.in_flight.take_back(answering, out.as_ref());
        if let (Some(link), Some(out)) = (&mut self.link, out) {
            link.give_back(out);
        }
        if failed { self.back.pop_front() } else { None }
    }

    /// Hands a batch over that does not fit into the ring, piece by piece.
    fn hand_over_slowly(&mut self, held: InFlight) {
        let Some(mut link) = self.whole_link() else {
            self.failed.get_or_insert_with(no_guest);
            return self.in_flight.note(held);
        };
        let whole = matches!(self.kind, Kind::Process | Kind::Sink);
        link.begin();
        let sent = write_call(&mut link, &held.batch, held.batch.wire_len(whole), whole).map(|()| link.send());
        self.in_flight.note(held);
        match sent {
            Ok(()) => {
                self.link = Some(link);
                self.open();
            }
            Err(error) => {
                let failure = self.lost(&error);
                self.failed.get_or_insert(failure);
            }
        }
    }

    /// Takes over what was measured and said; what is left is the failure, if it was one.
    fn note(&mut self, report: Report) -> Option<Failure> {
        let (used, peak) = report.memory;
        self.budget.show(used.min(self.budget.cap()), peak.min(self.budget.cap()));
        let passed = self.since.elapsed();
        self.measured.cpu += believe(report.cpu, &mut self.claimed.0, passed);
        self.measured.throttled += believe(report.throttled, &mut self.claimed.1, passed);
        self.measured.log_bytes_dropped = self.measured.log_bytes_dropped.saturating_add(report.log_bytes_dropped);
        self.metrics.add_dropped(report.numbers_dropped);
        for (level, line) in report.lines {
            self.log.write(level, &line);
        }
        for (name, published) in report.numbers {
            self.metrics.add(&name, published);
        }
        report.failure
    }

    /// The link is no good any more: its process is ended if it has not ended already, and that is the failure.
    fn lost(&mut self, error: &WireError) -> Failure {
        self.link = None;
        let (death, first) = self.instance.explain(self.process, || error.to_string());
        self.measured.workers_lost += u64::from(first);
        death.failure()
    }

    /// Waits for the answer to a batch. It may be one that is refused here: then that is in `failed`.
    fn hear_of(&mut self, batch: &Batch) -> Result<(), Failure> {
        if let Some(failure) = self.failed.take() {
            return Err(failure);
        }
        let Some(link) = self.link.take() else { return Err(no_guest()) };
        // It was waited for elsewhere.
        if let Some(overdue) = self.silent_since.take().and_then(|since| link.is_overdue(since)) {
            return Err(self.lost(&overdue));
        }
        self.hear(link, |guest, link| guest.read_answer(link, batch))
    }

    fn read_answer(&mut self, link: &mut Link, batch: &Batch) -> Result<(), WireError> {
        if self.kind == Kind::Process {
            get_bytes(link, LONGEST_CHANGES.min(self.budget.cap().saturating_mul(2)), &mut self.changes)?;
        }
        match self.answer.read(batch, link)? {
            // Its own sandbox would have said so: this worker does not do what it should.
            Err(failure) if self.kind != Kind::FlatMap => Err(WireError::broken(failure.to_string())),
            Err(failure) => {
                self.failed = Some(failure);
                Ok(())
            }
            Ok(()) => {
                let played = self.state.as_mut().map_or(Ok(()), |state| state.play(&self.changes));
                self.changes.clear();
                // One huge change should not keep its buffer resident for ever.
                self.changes.shrink_to(KEEP_CHANGES);
                played
            }
        }
    }
}

/// Of a time that a worker claims, no more than has passed: sums of it must not overflow.
fn believe(claims: Duration, claimed: &mut Duration, passed: Duration) -> Duration {
    let believed = claims.min(passed.saturating_sub(*claimed));
    *claimed += believed;
    believed
}

fn no_guest() -> Failure {
    Failure::new(FailureCode::Restarts, "the guest is not running")
}

impl LaneGuest for ProcessGuest {
    fn start(&mut self) -> Result<(), Failure> {
        (self.failed, self.silent_since, self.gone) = (None, None, false);
        let asked = Instant::now();
        let before = self.process;
        let link = self.connect()?;
        self.link = Some(link);
        let source = self.kind == Kind::Source;
        self.ask(
            |link| put_u64(link, ask::START),
            |guest, link| if source { get_bytes(link, LONGEST_POSITION, &mut guest.position) } else { Ok(()) },
        )?;
        if self.process != before && self.lane == 0 {
            self.measured.workers_started += 1;
            self.measured.worker_starts += asked.elapsed();
        }
        self.open();
        Ok(())
    }

    fn has_room(&self) -> bool {
        self.in_flight.has_room()
    }

    fn in_flight(&self) -> usize {
        self.in_flight.count()
    }

    fn hand_over(&mut self, held: InFlight) -> Result<(), InFlight> {
        let held = match self.in_flight.hand_over(held) {
            Ok(()) => return Ok(()),
            Err(held) => held,
        };
        if self.in_flight.count() > 0 {
            return Err(held);
        }
        self.hand_over_slowly(held);
        Ok(())
    }

    fn direct_send(&self) -> Option<Arc<dyn DirectSend>> {
        // Lanes that share an inbox answer in the order in which they took; a sink is asked to flush between two batches.
        let alone = self.instance.template.lanes.len() == 1 && !matches!(self.kind, Kind::Sink | Kind::Source);
        alone.then(|| Arc::clone(&self.in_flight) as Arc<dyn DirectSend>)
    }

    fn wait(&mut self, most: Duration) -> Result<(), Failure> {
        let Some(link) = &self.link else { return Ok(()) };
        match link.doze(most) {
            Err(error) if self.in_flight.count() == 0 => {
                let failure = self.lost(&error);
                self.take_all_back(None);
                Err(failure)
            }
            // Where something is under way, its answer says so.
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn is_answered(&mut self) -> bool {
        if self.failed.is_some() || self.link.as_ref().is_none_or(Link::has_bytes) {
            self.silent_since = None;
            return true;
        }
        let since = *self.silent_since.get_or_insert_with(Instant::now);
        self.gone || self.link.as_ref().is_some_and(|link| link.is_overdue(since).is_some())
    }

    fn arm(&mut self, lightly: bool) -> bool {
        self.link.as_ref().is_none_or(|link| link.arm(lightly))
    }

    fn disarm(&mut self, died: bool) -> bool {
        self.gone |= died;
        self.link.as_ref().is_none_or(Link::disarm)
    }

    fn wakers(&self) -> Option<Wakers<'_>> {
        let (doorbell, process) = self.link.as_ref()?.wakers();
        Some(Wakers { doorbell, process: process? })
    }

    fn answer(&mut self) -> Option<(InFlight, Result<&mut Answer, Failure>)> {
        let answering = self.in_flight.oldest()?;
        let failure = match self.hear_of(answering.batch()) {
            Ok(()) if self.failed.is_none() => {
                let whole = self.answer.rejected().next().is_some();
                return Some((self.in_flight.answered(answering, whole), Ok(&mut self.answer)));
            }
            Ok(()) => None,
            Err(failure) => Some(failure),
        };
        let refused = failure.is_none();
        let failure = failure.or_else(|| self.failed.take()).unwrap_or_else(no_guest);
        let held = self.take_all_back(Some(answering))?;
        if refused && !self.back.is_empty() {
            // What was handed over behind the one that failed here, and not there, would be answered first.
            self.lost(&WireError::broken("its answer was refused"));
        }
        Some((held, Err(failure)))
    }

    fn take_back(&mut self) -> VecDeque<InFlight> {
        std::mem::take(&mut self.back)
    }

    fn next(&mut self, max_records: u32, max_bytes: u32) -> Result<(Progress, &mut Answer), Failure> {
        let progress = self.ask(
            |link| {
                put_u64(link, ask::NEXT)?;
                put_u64(link, max_records.into())?;
                put_u64(link, max_bytes.into())
            },
            |guest, link| {
                let progress = get_progress(link)?;
                guest.read_answer(link, &Batch::new())?;
                get_bytes(link, LONGEST_POSITION, &mut guest.position)?;
                Ok(progress)
            },
        )?;
        Ok((progress, &mut self.answer))
    }

    fn position(&mut self) -> Result<Vec<u8>, Failure> {
        Ok(self.position.clone())
    }

    fn seek(&mut self, position: &[u8]) -> Result<(), Failure> {
        let seek = |link: &mut Link| {
            put_u64(link, ask::SEEK)?;
            put_bytes(link, position)
        };
        self.ask(seek, |_, _| Ok(()))?;
        self.position = position.to_vec();
        Ok(())
    }

    fn end(&mut self) -> Result<&mut Answer, Failure> {
        self.ask(|link| put_u64(link, ask::END), |guest, link| guest.read_answer(link, &Batch::new()))?;
        Ok(&mut self.answer)
    }

    fn close(&mut self) -> Result<(), Failure> {
        let closed = self.ask(|link| put_u64(link, ask::CLOSE), |_, _| Ok(()));
        self.link = None;
        closed
    }

    fn measure(&mut self) -> Measured {
        self.measured.log_bytes_dropped = self.measured.log_bytes_dropped.saturating_add(self.log.take_dropped());
        std::mem::take(&mut self.measured)
    }

    fn rest(&mut self) {}
}
