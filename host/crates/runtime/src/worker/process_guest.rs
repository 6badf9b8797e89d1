use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::believed::believe;
use super::grace::GRACE;
use super::in_flight::{Answering, InFlightBatches, write_call};
use super::instance::Instance;
use super::message::{LONGEST_POSITION, Report, ask, get_progress};
use crate::engine::{DirectGuest, InFlight, LaneGuest, Measured, Stopped};
use sage_batch::Batch;
use sage_batch::wire::{WireError, get_bytes, get_u64, put_bytes, put_u64};
use sage_machine::MemoryBudget;
use sage_observe::GuestMetrics;
use sage_plan::{Kind, RecordShape};
use sage_process::Link;
use sage_sandbox::{Answer, Failure, FailureCode, GuestLog, GuestSpec, KeyedState, LogTo, LostWindow, Progress};
use sage_time::WindowRules;

/// The guest as one to which other threads hand over batches.
#[path = "process_guest_direct.rs"]
mod direct;

/// The guest of a lane in a worker process.
///
/// **Location.** The guest and its working copy of the keyed state are in the worker. This side has the batches
/// that were handed over ([`InFlightBatches`]) and a second copy of the keyed state, which each answer updates.
/// The answer and the state change come in one message. A worker that dies has therefore done both or neither,
/// and the next worker continues from the copy.
///
/// **Trust.** Everything that the worker sends is checked as if its guest had sent it. A worker that breaks the
/// protocol is ended.
pub(super) struct ProcessGuest {
    instance: Arc<Instance>,
    lane: usize,
    kind: Kind,
    link: Option<Link>,
    /// The number of the instance's process at the other end of the link.
    process: u64,
    answer: Answer,
    /// The batches in flight, with the writing half of the link while the guest takes batches.
    in_flight: Arc<InFlightBatches>,
    /// Batches that were in flight when the guest failed.
    back: VecDeque<InFlight>,
    /// `silent_since` is the time since which an answer is due that has not begun. `gone` says whether the
    /// process was seen to have died. Both are for a thread that waits for several guests.
    silent_since: Option<Instant>,
    gone: bool,
    /// A failure that happened before an answer was requested.
    failed: Option<Failure>,
    state: Option<KeyedState>,
    windows: Option<WindowRules>,
    /// Changes of the copy that the worker has to be told of before its next guest starts.
    untold: Vec<u8>,
    changes: Vec<u8>,
    position: Vec<u8>,
    budget: Arc<MemoryBudget>,
    metrics: Arc<GuestMetrics>,
    log: GuestLog,
    measured: Measured,
    /// `since` is the time since which this lane uses the process. `claimed` is the time that the process has
    /// claimed since then.
    since: Instant,
    claimed: (Duration, Duration),
}

/// Maximum batches in flight. The worker then has its next batches at hand while this side sends the last
/// answers on, and one wake-up delivers several answers.
const WINDOW: usize = 8;
/// The same for an instance with several lanes. A lower limit lets all lanes share a short queue.
const WINDOW_OF_MANY: usize = 2;
/// Bytes of the buffer for changes that are kept from one call to the next.
const KEEP_CHANGES: usize = 1 << 20;
/// Maximum bytes of all changes of one call. The memory limit of the state bounds them further.
const LONGEST_CHANGES: u64 = 4 << 30;

impl ProcessGuest {
    /// Makes a guest. `copies` limits the copies of keyed state of all lanes together.
    pub(super) fn new(
        instance: Arc<Instance>,
        lane: usize,
        spec: &GuestSpec,
        (kind, ports, shape): (Kind, u32, Option<&RecordShape>),
        copies: &Arc<MemoryBudget>,
    ) -> Self {
        let mut answer = Answer::new(kind, &spec.limits);
        answer.set_ports(ports);
        if let Some(shape) = shape {
            answer.set_fields(shape);
        }
        let rate = spec.limits.log_bytes_per_second;
        let window = if instance.template.lanes.len() > 1 { WINDOW_OF_MANY } else { WINDOW };
        Self {
            lane,
            kind,
            link: None,
            process: 0,
            answer,
            in_flight: Arc::new(InFlightBatches::new(kind, shape.cloned(), window)),
            back: VecDeque::new(),
            silent_since: None,
            gone: false,
            failed: None,
            state: matches!(kind, Kind::Process | Kind::Window).then(|| KeyedState::new(Arc::clone(copies))),
            windows: spec.windows,
            untold: Vec::new(),
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

    /// Connects to a process that has the keyed state, so that the next guest can start in it.
    fn connect(&mut self) -> Result<Link, Failure> {
        if let Some(link) = self.link.take() {
            return Ok(link);
        }
        (self.since, self.claimed) = (Instant::now(), Default::default());
        let (mut link, process) = self.instance.attach(self.lane, self.process)?;
        self.process = process;
        // An answer may need two calls of the guest: its start and `open`, or `next` and `position`.
        link.set_timeout(Some(self.instance.template.limits.call_timeout.saturating_mul(2).saturating_add(GRACE)));
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

    /// Sends a request and waits for its answer. `rest` reads the part of the answer after the report. No batch
    /// may be in flight.
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

    /// Takes the link with both its halves. No batch can be handed over meanwhile.
    fn whole_link(&mut self) -> Option<Link> {
        let mut link = self.link.take()?;
        if let Some(out) = self.in_flight.stop() {
            link.give_back(out);
        }
        Some(link)
    }

    /// Allows batches to be handed over.
    fn open(&mut self) {
        if let Some(link) = &mut self.link
            && let Some(out) = link.lend()
        {
            self.in_flight.begin(out, link.doorbell());
        }
    }

    /// Takes all batches back after a failure of the guest, in the call for `answering` if there is one.
    /// Returns the batch of the failed call. No more batches are handed over.
    fn take_all_back(&mut self, answering: Option<Answering>) -> Option<InFlight> {
        let out = self.in_flight.stop();
        let failed = answering.is_some();
        self.back = self.in_flight.take_back(answering, out.as_ref());
        if let (Some(link), Some(out)) = (&mut self.link, out) {
            link.give_back(out);
        }
        if failed { self.back.pop_front() } else { None }
    }

    /// Hands over a batch that does not fit into the ring, piece by piece.
    fn hand_over_slowly(&mut self, held: InFlight) {
        let Some(mut link) = self.whole_link() else {
            self.failed.get_or_insert_with(no_guest);
            return self.in_flight.note(held);
        };
        let content = self.in_flight.content(&held.batch);
        link.begin();
        let len = content.len(&held.batch);
        let sent = write_call(&mut link, &held.batch, len, &content).map(|()| link.send());
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

    /// Takes over the measurements and log lines of a report. Returns its failure, if there is one.
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

    /// Drops a broken link. Ends its process if it still runs, and returns its death as the failure.
    fn lost(&mut self, error: &WireError) -> Failure {
        self.link = None;
        let (death, first) = self.instance.explain(self.process, || error.to_string());
        self.measured.workers_lost += u64::from(first);
        death.failure()
    }

    /// Waits for the answer to a batch. If this side refuses the answer, the refusal is in `failed`.
    fn hear_of(&mut self, batch: &Batch) -> Result<(), Failure> {
        if let Some(failure) = self.failed.take() {
            return Err(failure);
        }
        let Some(link) = self.link.take() else { return Err(no_guest()) };
        // Another thread waited for the answer.
        if let Some(overdue) = self.silent_since.take().and_then(|since| link.is_overdue(since)) {
            return Err(self.lost(&overdue));
        }
        self.hear(link, |guest, link| guest.read_answer(link, batch))
    }

    fn read_answer(&mut self, link: &mut Link, batch: &Batch) -> Result<(), WireError> {
        if matches!(self.kind, Kind::Process | Kind::Window) {
            get_bytes(link, LONGEST_CHANGES.min(self.budget.cap().saturating_mul(2)), &mut self.changes)?;
        }
        match self.answer.read(batch, link)? {
            // The worker's own sandbox should have reported this failure, so the worker does not work
            // correctly.
            Err(failure) if self.kind != Kind::FlatMap => Err(WireError::broken(failure.to_string())),
            Err(failure) => {
                self.failed = Some(failure);
                Ok(())
            }
            Ok(()) => {
                let played = self.state.as_mut().map_or(Ok(()), |state| state.play(&self.changes));
                self.changes.clear();
                // A single huge change must not keep its buffer in memory for ever.
                self.changes.shrink_to(KEEP_CHANGES);
                played
            }
        }
    }
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
        let untold = std::mem::take(&mut self.untold);
        if !untold.is_empty() {
            let tell = |link: &mut Link| {
                put_u64(link, ask::STATE)?;
                put_bytes(link, &untold)
            };
            self.ask(tell, |_, _| Ok(()))?;
        }
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

    fn direct(&mut self) -> Option<&mut dyn DirectGuest> {
        // Lanes that share an inbox must answer in the order in which they took. A sink must be able to flush
        // between two batches.
        let alone = self.instance.template.lanes.len() == 1 && !matches!(self.kind, Kind::Sink | Kind::Source);
        if alone { Some(self) } else { None }
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
            // The host has refused this answer, but the worker has not failed. It would answer the batches
            // behind it first, so the worker is ended.
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

    fn advance(&mut self, watermark: i64, most: u32) -> Result<(bool, &mut Answer), Failure> {
        let more = self.ask(
            |link| {
                put_u64(link, ask::ADVANCE)?;
                put_u64(link, watermark.cast_unsigned())?;
                put_u64(link, most.into())
            },
            |guest, link| {
                let more = get_u64(link)? != 0;
                guest.read_answer(link, &Batch::new())?;
                Ok(more)
            },
        )?;
        self.open();
        Ok((more, &mut self.answer))
    }

    fn has_timers(&self) -> bool {
        self.windows.is_some()
    }

    fn waits_between(&self, before: i64, now: i64) -> bool {
        self.windows.is_none_or(|rules| rules.matters(before, now))
    }

    fn give_up_window(&mut self, watermark: i64) -> Option<LostWindow> {
        let (lost, changes) = self.state.as_mut()?.give_up_window(self.windows?, watermark)?;
        // The worker that lives on has the window too.
        self.untold.extend_from_slice(&changes);
        Some(lost)
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

    fn restore(&mut self, state: &[u8]) -> Result<(), String> {
        self.state.as_mut().map_or(Ok(()), |own| own.play(state)).map_err(|error| error.to_string())
    }

    fn note_changes(&mut self) {
        if let Some(state) = &mut self.state {
            state.note_unsaved();
        }
    }

    fn save(&mut self, whole: bool, send: &mut dyn FnMut(&[u8]) -> Result<(), Stopped>) -> Result<(), Stopped> {
        self.state.as_mut().map_or(Ok(()), |state| state.save(whole, send))
    }

    fn rest(&mut self) {}
}
