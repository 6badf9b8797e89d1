use std::sync::Arc;
use std::time::{Duration, Instant};

use super::message::{LONGEST_POSITION, Report, ask, put_progress};
use crate::engine::SharePacer;
use sage_batch::Batch;
use sage_batch::fields::{Schema, Table};
use sage_batch::wire::{WireError, WireWriter, get_bytes, get_small, get_u32s, get_u64, put_bytes, put_u64, view};
use sage_machine::{CpuShare, thread_cpu_time};
use sage_plan::Kind;
use sage_process::Link;
use sage_sandbox::{Carried, Failure, FailureCode, Guest, GuestSpec, KeptLines, KeyedState, Loaded, Pacer};

/// A lane of the instance that this process runs: carries out the requests of its lane in the host, in order,
/// until the host is gone.
///
/// After a failure, calls are dropped until a fresh guest is requested, because the host handed them over
/// before it knew of the failure.
pub(super) struct ServedLane {
    link: Link,
    loaded: Arc<Loaded>,
    spec: GuestSpec,
    kept: Arc<KeptLines>,
    guest: Option<Guest>,
    carried: Option<Carried>,
    batch: Batch,
    table: Table,
    /// process by field: bytes of the fields that an output of each record keeps.
    kept_bytes: Vec<u32>,
    changes: Vec<u8>,
    cpu: Duration,
    /// CPU time of the threads that work for its guests.
    helpers: Duration,
    answered: u32,
    /// Answers that were sent without waking the host.
    quiet: u32,
    /// Measurements of earlier guests that were not reported yet.
    throttled: Duration,
    log_bytes_dropped: u64,
}

/// Maximum bytes of a column in a request: the reach of 32-bit offsets.
const LONGEST_COLUMN: u64 = u32::MAX as u64;
/// `MOST_COALESCED` is the maximum of answers before the host is woken. `MOMENT` is the maximum duration of a call
/// for which the next answer counts as near. A wake-up and its thread switch cost about 10 µs of CPU. With 5 of
/// a window of 8, a pipeline of two workers took 4 to 7 % less CPU than with a wake-up for each answer.
const MOST_COALESCED: u32 = 5;
const MOMENT: Duration = Duration::from_micros(200);
/// Answers between two reads of the thread's CPU clock. A read takes 250 ns.
const READ_CLOCK_EVERY: u32 = 16;

impl ServedLane {
    pub(super) fn new(
        link: Link,
        loaded: Arc<Loaded>,
        spec: GuestSpec,
        kept: Arc<KeptLines>,
        share: Option<u32>,
    ) -> Self {
        let mut state = KeyedState::new(Arc::clone(&spec.budget));
        if matches!(loaded.facts().kind, Kind::Process | Kind::Window) {
            state.keep_changes();
        }
        let pacer = share.map(|share| Box::new(SharePacer(CpuShare::new(share))) as Box<dyn Pacer>);
        Self {
            link,
            loaded,
            spec,
            kept,
            guest: None,
            carried: Some(Carried::new(state, pacer)),
            batch: Batch::new(),
            table: Table::default(),
            kept_bytes: Vec::new(),
            changes: Vec::new(),
            cpu: Duration::ZERO,
            helpers: Duration::ZERO,
            answered: 0,
            quiet: 0,
            throttled: Duration::ZERO,
            log_bytes_dropped: 0,
        }
    }

    /// Works until the host is gone, which is an error, or until it closes the lane.
    pub(super) fn run(mut self) -> Result<(), WireError> {
        loop {
            if !self.link.has_bytes() {
                self.quiet = 0;
                self.rest();
            }
            let asked = get_u64(&mut self.link)?;
            match asked {
                ask::START => self.start()?,
                ask::CALL => self.call()?,
                ask::NEXT => self.next()?,
                ask::END => self.end()?,
                ask::SEEK => self.seek()?,
                ask::STATE => self.state()?,
                ask::ADVANCE => self.advance()?,
                ask::CLOSE => return self.close(),
                other => return Err(WireError::broken(format!("a request of kind {other}"))),
            }
        }
    }

    fn start(&mut self) -> Result<(), WireError> {
        self.link.taken();
        self.drop_guest();
        let Some(carried) = self.carried.take() else { return Err(WireError::broken("nothing to start with")) };
        match Guest::start(&self.loaded, &self.spec, carried) {
            Ok(guest) => self.guest = Some(guest),
            Err((failure, carried)) => {
                self.carried = Some(carried);
                return self.fail(failure);
            }
        }
        if self.loaded.facts().kind == Kind::Source {
            return self.answer_with_position(None);
        }
        self.report(None)?;
        self.send()
    }

    fn call(&mut self) -> Result<(), WireError> {
        let edge = get_small(&mut self.link)?;
        if let Some(guest) = &mut self.guest {
            guest.at_edge(edge);
        }
        let len = get_u64(&mut self.link)?;
        let len = usize::try_from(len).map_err(|_| WireError::broken(format!("a batch of {len} bytes")))?;
        let began = Instant::now();
        if let Some(reads) = self.loaded.facts().shape().map(|shape| Arc::clone(&shape.reads)) {
            let called = match self.loaded.facts().kind {
                Kind::Process | Kind::Window | Kind::Sink => self.call_with_rows(&reads)?,
                _ => {
                    self.table.read(&reads, &[], &mut self.link, LONGEST_COLUMN)?;
                    self.guest.as_mut().map(|guest| guest.call_with_table(&self.table).map(|_| ()))
                }
            };
            self.link.taken();
            return self.called(called, began);
        }
        // SAFETY: the other side is the host, which owns this memory. Only the host can write there, and it
        // does not change bytes before they are taken.
        let called = match unsafe { self.link.view(len) }? {
            Some(wire) => {
                let columns = view(wire)?;
                self.guest.as_mut().map(|guest| guest.call_over(&columns).map(|_| ()))
            }
            None => {
                self.batch.read(&mut self.link, LONGEST_COLUMN)?;
                self.batch.set_edge(edge);
                self.guest.as_mut().map(|guest| guest.call(&self.batch).map(|_| ()))
            }
        };
        self.link.taken();
        self.called(called, began)
    }

    /// Reads records by field with their keys, timestamps and headers, and calls the guest with them.
    fn call_with_rows(&mut self, reads: &Arc<Schema>) -> Result<Option<Result<(), Failure>>, WireError> {
        self.batch.read_by_field(reads, &mut self.table, &mut self.link, LONGEST_COLUMN)?;
        get_u32s(&mut self.link, LONGEST_COLUMN, &mut self.kept_bytes)?;
        let Some(guest) = &mut self.guest else { return Ok(None) };
        guest.set_kept(&self.kept_bytes);
        Ok(Some(guest.call_by_field(&self.batch).map(|_| ())))
    }

    /// Answers a call with its result.
    fn called(&mut self, called: Option<Result<(), Failure>>, began: Instant) -> Result<(), WireError> {
        match called {
            // The failure was reported. Calls that were handed over earlier get no answer.
            None => Ok(()),
            Some(Err(failure)) => self.fail(failure),
            Some(Ok(())) => {
                self.answer()?;
                // The next answer will follow soon, so one wake-up for both is enough.
                if self.quiet < MOST_COALESCED && self.link.has_bytes() && began.elapsed() < MOMENT {
                    self.quiet += 1;
                    self.link.send_coalesced();
                    return Ok(());
                }
                self.send()
            }
        }
    }

    fn next(&mut self) -> Result<(), WireError> {
        let (records, bytes) = (get_small(&mut self.link)?, get_small(&mut self.link)?);
        self.link.taken();
        let Some(guest) = &mut self.guest else { return self.no_guest() };
        match guest.next(records, bytes).map(|(progress, _)| progress) {
            Ok(progress) => self.answer_with_position(Some(progress)),
            Err(failure) => self.fail(failure),
        }
    }

    fn end(&mut self) -> Result<(), WireError> {
        self.link.taken();
        let Some(guest) = &mut self.guest else { return self.no_guest() };
        match guest.end().map(|_| ()) {
            Ok(()) => {
                self.answer()?;
                self.send()
            }
            Err(failure) => self.fail(failure),
        }
    }

    /// Raises the watermark. The answer says first whether more windows are due.
    fn advance(&mut self) -> Result<(), WireError> {
        let watermark = get_u64(&mut self.link)?.cast_signed();
        let most = get_small(&mut self.link)?;
        self.link.taken();
        let Some(guest) = &mut self.guest else { return self.no_guest() };
        match guest.advance(watermark, most).map(|(more, _)| more) {
            Ok(more) => {
                self.report(None)?;
                put_u64(&mut self.link, more.into())?;
                self.answer_after_report()?;
                self.send()
            }
            Err(failure) => self.fail(failure),
        }
    }

    fn seek(&mut self) -> Result<(), WireError> {
        let mut position = Vec::new();
        get_bytes(&mut self.link, LONGEST_POSITION, &mut position)?;
        self.link.taken();
        let Some(guest) = &mut self.guest else { return self.no_guest() };
        match guest.seek(&position) {
            Ok(()) => {
                self.report(None)?;
                self.send()
            }
            Err(failure) => self.fail(failure),
        }
    }

    /// Plays keyed state of an earlier worker of this lane.
    fn state(&mut self) -> Result<(), WireError> {
        get_bytes(&mut self.link, LONGEST_COLUMN, &mut self.changes)?;
        self.link.taken();
        let Some(carried) = &mut self.carried else { return Err(WireError::broken("state for a guest that runs")) };
        carried.state.play(&self.changes)?;
        // The host already knows these changes.
        carried.state.take_changes(&mut self.changes);
        self.report(None)?;
        self.send()
    }

    fn close(mut self) -> Result<(), WireError> {
        self.link.taken();
        let failure = match self.guest.take() {
            Some(mut guest) => {
                self.throttled += guest.take_throttled();
                guest.close().err()
            }
            None => None,
        };
        self.answered = 0;
        self.report(failure)?;
        self.send()
    }

    /// Writes the answer to a successful call, without sending it.
    fn answer(&mut self) -> Result<(), WireError> {
        self.report(None)?;
        self.answer_after_report()
    }

    fn answer_after_report(&mut self) -> Result<(), WireError> {
        let Some(guest) = &mut self.guest else { return self.no_guest() };
        guest.pace();
        if matches!(self.loaded.facts().kind, Kind::Process | Kind::Window) {
            guest.take_changes(&mut self.changes);
            put_bytes(&mut self.link, &self.changes)?;
        }
        if let Ok(answer) = guest.answered() {
            answer.write(&mut self.link)?;
        }
        Ok(())
    }

    /// Writes and sends the answer of a source: its records and its position.
    fn answer_with_position(&mut self, progress: Option<sage_sandbox::Progress>) -> Result<(), WireError> {
        let Some(guest) = &mut self.guest else { return self.no_guest() };
        // The query for the position may fail, so it comes before anything is sent. The query also discards the
        // answer, so the answer is first written to memory.
        let mut answer = Written::default();
        if let (Some(progress), Ok(made)) = (progress, guest.answered()) {
            put_progress(&mut answer, progress)?;
            made.write(&mut answer)?;
        }
        let position = match guest.position() {
            Ok(position) => position,
            Err(failure) => return self.fail(failure),
        };
        guest.pace();
        self.report(None)?;
        self.link.put(&answer.0)?;
        put_bytes(&mut self.link, &position)?;
        self.send()
    }

    fn no_guest(&mut self) -> Result<(), WireError> {
        self.fail(Failure::new(FailureCode::Restarts, "the guest is not running"))
    }

    fn fail(&mut self, failure: Failure) -> Result<(), WireError> {
        self.drop_guest();
        self.report(Some(failure))?;
        self.send()
    }

    fn drop_guest(&mut self) {
        if let Some(mut guest) = self.guest.take() {
            self.throttled += guest.take_throttled();
            self.log_bytes_dropped += guest.take_log_bytes_dropped();
            self.carried = Some(guest.into_carried());
        }
    }

    fn report(&mut self, failure: Option<Failure>) -> Result<(), WireError> {
        let budget = &self.spec.budget;
        let mut report = Report {
            failure,
            memory: (budget.used(), budget.peak()),
            throttled: std::mem::take(&mut self.throttled),
            log_bytes_dropped: std::mem::take(&mut self.log_bytes_dropped),
            lines: self.kept.take(),
            numbers: self.spec.metrics.take(),
            numbers_dropped: self.spec.metrics.take_dropped(),
            ..Report::default()
        };
        if let Some(guest) = &mut self.guest {
            report.throttled += guest.take_throttled();
            report.log_bytes_dropped += guest.take_log_bytes_dropped();
        }
        if self.answered.is_multiple_of(READ_CLOCK_EVERY) {
            let helpers = self.guest.as_ref().map_or(self.helpers, Guest::helpers_cpu_time);
            self.helpers = helpers;
            let now = thread_cpu_time() + helpers;
            report.cpu = now.saturating_sub(self.cpu);
            self.cpu = now;
        }
        self.answered = self.answered.wrapping_add(1);
        report.write(&mut self.link)
    }

    fn send(&mut self) -> Result<(), WireError> {
        self.quiet = 0;
        self.link.send();
        Ok(())
    }

    /// Lets the guest rest, because there is no request for now.
    fn rest(&mut self) {
        if let Some(guest) = &mut self.guest {
            guest.rest();
        }
    }
}

/// A message that is first written to memory.
#[derive(Default)]
struct Written(Vec<u8>);

impl WireWriter for Written {
    fn put(&mut self, bytes: &[u8]) -> Result<(), WireError> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}
