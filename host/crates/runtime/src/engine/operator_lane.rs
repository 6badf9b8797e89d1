use std::sync::Arc;
use std::time::Duration;

use super::answers::{AnswerCollector, Outputs};
use super::epochs::EpochLane;
use super::error::PipelineError;
use super::field_output::{FieldOutput, OutputShape};
use super::field_text::text_for_people;
use super::guest_supervisor::{GuestSupervisor, LOST_WORKERS};
use super::inlet::Inlet;
use super::kept_fields::KeptFields;
use super::lane_clock::LaneClock;
use super::lane_guest::{InFlight, LaneGuest};
use super::lane_time::LaneTime;
use super::on_error_policy::OnErrorPolicy;
use super::outlets::Outlets;
use super::printed_outputs::PrintedOutputs;
use super::recovery::{Recovery, Step};
use super::sequencer::Sequencer;
use super::stopped::Stopped;
use super::window_time::WindowTime;
use sage_batch::{Batch, BatchPool};
use sage_plan::Kind;
use sage_sandbox::{Answer, Failure, FailureCode};
use sage_store::{FrameKind, fault_point};
use sage_time::Watermark;

/// A lane of an operator or of a sink component: takes batches, calls its guest, and sends the answers on.
///
/// A failed batch is tried again `retries` times on a fresh guest. Then it is halved until each failing record
/// stands alone. The other records are sent on in order. The outputs of each piece are sent before the guest is
/// called with the next piece, so that the host never holds more than one call may send. The [`OnErrorPolicy`]
/// decides about a record that stands alone. The input of a sink component is handled when the sink has flushed
/// it. Until then the input is kept, so that the guest that replaces a failed one can write it again.
pub(super) struct OperatorLane {
    pub(super) supervisor: GuestSupervisor,
    pub(super) kind: Kind,
    pub(super) retries: u32,
    /// sink: how long its input may wait for a flush.
    pub(super) flush_interval: Duration,
    /// Maximum bytes of an output record.
    pub(super) record_limit: u64,
    pub(super) inlet: Inlet,
    /// Orders the outputs, if other lanes take from the same inbox.
    pub(super) sequencer: Option<Arc<Sequencer>>,
    pub(super) outlets: Outlets,
    /// The steps that are left since a batch failed.
    pub(super) recovery: Recovery,
    pub(super) policy: OnErrorPolicy,
    pub(super) pool: Arc<BatchPool>,
    /// map and flat-map by field: the fields of the outputs.
    pub(super) field_output: Option<FieldOutput>,
    /// process by field: the outputs that keep fields of their input.
    pub(super) kept_fields: Option<KeptFields>,
    /// process by field: the outputs that are printed.
    pub(super) printed_outputs: PrintedOutputs,
    /// The codes of failed calls that were already logged as warnings.
    pub(super) warned: Vec<FailureCode>,
    /// The epochs of the run, if it has any.
    pub(super) epochs: Option<EpochLane>,
    /// How far event time is.
    pub(super) time: LaneTime,
    /// Whether the lane had ended in the run before: its guest is not told of the end a second time.
    pub(super) has_ended: bool,
    /// window: the watermarks of which the guest has to be told.
    pub(super) windows: Option<WindowTime>,
    /// The event time to which the lane moves on when the steps of its windows are done.
    pub(super) moving: Option<Watermark>,
    /// In a chain: whether the windows were told of the end of the input.
    pub(super) has_closed: bool,
}

impl OperatorLane {
    /// Works until the input ends or the run stops. The guest must have been started.
    pub(super) fn run(mut self) {
        let mut clock = LaneClock::new(Arc::clone(&self.policy.counters));
        // On a stop, the control already has the cause.
        let _ = self.work(&mut clock);
    }

    fn work(&mut self, clock: &mut LaneClock) -> Result<(), Stopped> {
        let mut outputs = Outputs::default();
        self.begin();
        loop {
            if !outputs.unflushed.is_due(self.flush_interval) {
                self.inlet.fill(self.supervisor.guest())?;
            }
            if let Some((watermark, ticket)) = self.inlet.take_risen() {
                self.rise(watermark, ticket, &mut outputs)?;
                while self.recover(&mut outputs)? {}
            } else if self.take_answer(&mut outputs)? {
                while self.recover(&mut outputs)? {}
                clock.batch();
                self.supervisor.measure(&self.policy.counters);
            } else if let Some(epoch) = self.inlet.take_crossing() {
                self.cross(epoch, &mut outputs)?;
            } else if self.inlet.has_ended() {
                return self.end(&mut outputs);
            } else if outputs.unflushed.is_due(self.flush_interval) {
                self.settle(&mut outputs)?;
            } else {
                self.idle(clock)?;
                self.wait(&outputs)?;
            }
        }
    }

    /// Begins with the event time that an earlier run had reached.
    pub(super) fn begin(&mut self) {
        let reached = self.time.reached();
        self.inlet.reached(reached);
        self.outlets.advance(reached);
    }

    /// Waits for the oldest answer and sends its outputs. `false` means that nothing is in flight. After a
    /// failure, [recover](Self::recover) must be called before the next answer is taken.
    pub(super) fn take_answer(&mut self, outputs: &mut Outputs) -> Result<bool, Stopped> {
        let Some((InFlight { batch, ticket, unread }, answered)) = self.supervisor.guest().answer() else {
            return Ok(false);
        };
        let taking = AnswerCollector {
            kind: self.kind,
            attempt: 1,
            outlets: &self.outlets,
            policy: &self.policy,
            record_limit: self.record_limit,
            pool: &self.pool,
            shape: shape_of(&mut self.field_output, &batch),
            kept: kept_by(&mut self.kept_fields, &batch),
            printed: &self.printed_outputs,
        };
        let watermark = batch.watermark();
        let unread = unread.map_or(Ok(()), |unread| taking.unread(&unread, outputs));
        let done = match answered {
            Ok(answer) => {
                let taken = unread.and_then(|()| taking.take(batch, answer, outputs));
                if self.kind == Kind::Map {
                    self.outlets.main.lend_buffer(answer.column());
                }
                self.supervisor.succeeded();
                self.inlet.went_on();
                taken
            }
            Err(failure) => {
                self.inlet.returned(self.supervisor.guest().take_back());
                unread.and_then(|()| self.failed(Step::Call(batch, 1), &failure, outputs))
            }
        };
        self.inlet.answered();
        self.time.is_due(watermark);
        self.recovery.set_ticket(Some(ticket));
        self.send_in_turn(outputs)?;
        done?;
        Ok(true)
    }

    /// Takes a watermark that has come without a batch.
    pub(super) fn rise(&mut self, watermark: Watermark, ticket: u64, outputs: &mut Outputs) -> Result<(), Stopped> {
        self.time.is_due(watermark);
        self.recovery.set_ticket(Some(ticket));
        self.send_in_turn(outputs)
    }

    /// Moves event time on to that of the batch, or of the watermark, that the lane has just worked off: everything
    /// before it was handed over, answered and sent, and no later record was handed over to a guest with
    /// [timers](LaneGuest::has_timers).
    ///
    /// If windows may be due, their steps come first, and the outputs learn of the watermark when what comes of them was
    /// sent. A lane that shares its inbox with others is in its turn here.
    fn move_on(&mut self) -> Result<(), Stopped> {
        let to = match self.moving.take() {
            Some(to) => to,
            None => {
                let Some(to) = self.time.take_due() else { return Ok(()) };
                if self.policy.control.is_stopped() {
                    return Err(Stopped);
                }
                if self.windows.as_mut().is_some_and(|windows| windows.take_due(to.time)) {
                    self.recovery.first(Step::advance(to.time));
                    self.moving = Some(to);
                    return Ok(());
                }
                to
            }
        };
        self.inlet.reached(to);
        self.outlets.advance(to);
        self.outlets.tell_in_silence()
    }

    /// Waits for work. A guest that is lost during the wait is replaced at once.
    pub(super) fn wait(&mut self, outputs: &Outputs) -> Result<(), Stopped> {
        let flush = outputs.unflushed.timeout(self.flush_interval);
        let timeout = flush.into_iter().chain(self.outlets.tells_in()).min();
        let waited = self.inlet.wait(self.supervisor.guest(), timeout)?;
        if self.kind == Kind::Map
            && let Some(answer) = self.supervisor.guest().resting_answer()
        {
            self.pool.lend_buffer(answer.column());
        }
        let Err(failure) = waited else { return Ok(()) };
        self.inlet.returned(self.supervisor.guest().take_back());
        if self.policy.control.is_stopped() {
            return Err(Stopped);
        }
        self.note(&failure, 0);
        self.supervisor.rebuild(&failure, &self.policy)
    }

    /// Takes the next step that is left after a failure, and sends its outputs: see [`Recovery`]. `false` means
    /// that no step was left.
    pub(super) fn recover(&mut self, outputs: &mut Outputs) -> Result<bool, Stopped> {
        let Some(step) = self.recovery.next() else { return Ok(false) };
        let done = match self.take_step(step, outputs) {
            Ok(Err((step, failure))) => self.failed(step, &failure, outputs),
            Ok(Ok(())) => Ok(()),
            Err(stopped) => Err(stopped),
        };
        self.send_in_turn(outputs)?;
        done?;
        Ok(true)
    }

    /// Runs one step on the guest, with nothing else in flight. A failed step is returned.
    fn take_step(&mut self, step: Step, outputs: &mut Outputs) -> Result<Result<(), (Step, Failure)>, Stopped> {
        let guest = self.supervisor.guest();
        let (batch, attempt, is_end, answer) = match step {
            Step::Call(batch, attempt) => match call(guest, batch) {
                Ok((batch, answer)) => (batch, attempt, false, answer),
                Err((batch, failure)) => return Ok(Err((Step::Call(batch, attempt), failure))),
            },
            Step::End(attempt) => match guest.end() {
                Ok(answer) => (self.pool.take(), attempt, true, answer),
                Err(failure) => return Ok(Err((step, failure))),
            },
            Step::Advance { to, most, attempt } => match guest.advance(to, most) {
                Ok((more, answer)) => {
                    if more {
                        // After a window that failed, calls grow again.
                        let most = most.saturating_mul(2).min(Step::MOST_WINDOWS);
                        self.recovery.first(Step::Advance { to, most, attempt: 1 });
                    }
                    (self.pool.take(), attempt, false, answer)
                }
                Err(failure) => return Ok(Err((step, failure))),
            },
        };
        let taking = AnswerCollector {
            kind: self.kind,
            attempt,
            outlets: &self.outlets,
            policy: &self.policy,
            record_limit: self.record_limit,
            pool: &self.pool,
            shape: shape_of(&mut self.field_output, &batch),
            kept: kept_by(&mut self.kept_fields, &batch),
            printed: &self.printed_outputs,
        };
        let taken = taking.take(batch, answer, outputs);
        self.supervisor.succeeded();
        if is_end {
            self.is_durable(outputs);
        }
        taken.map(Ok)
    }

    /// Handles a failed step: decides how to go on, and replaces the failed guest.
    fn failed(&mut self, step: Step, failure: &Failure, outputs: &mut Outputs) -> Result<(), Stopped> {
        if self.policy.control.is_stopped() {
            return Err(Stopped);
        }
        // Other causes than these records may have killed the worker, so the records get another attempt
        // together.
        let retries = if failure.worker_died { self.retries.max(LOST_WORKERS) } else { self.retries };
        match step {
            Step::Call(mut batch, attempt) => {
                self.note(failure, batch.len());
                if batch.len() == 1 {
                    text_for_people(&mut batch);
                }
                match batch.record(0) {
                    // The record's error policy comes first: if it stops the run, no other guest is needed.
                    Some(record) if batch.len() == 1 && attempt > retries => {
                        self.policy.failed(record, failure, attempt)?;
                        self.pool.put(batch);
                    }
                    _ => {
                        self.policy.counters.retried.add(1);
                        if attempt <= retries {
                            self.recovery.again(Step::Call(batch, attempt));
                        } else {
                            self.recovery.halve(batch, attempt, &self.pool);
                        }
                    }
                }
            }
            Step::End(attempt) => {
                self.note(failure, 0);
                if attempt <= retries {
                    self.recovery.again(step);
                } else if self.kind == Kind::Process {
                    self.policy.end_failed(failure, attempt)?;
                } else {
                    return Err(self.policy.stage_failed(failure));
                }
            }
            Step::Advance { to, most, attempt } => {
                self.note(failure, 0);
                if attempt <= retries {
                    self.recovery.again(step);
                } else if most > 1 {
                    self.recovery.first(Step::Advance { to, most: most / 2, attempt: attempt + 1 });
                } else {
                    let Some(lost) = self.supervisor.guest().give_up_window(to) else {
                        return Err(self.policy.stage_failed(failure));
                    };
                    self.policy.window_failed(&lost, failure, attempt)?;
                    self.recovery.first(Step::advance(to));
                }
            }
        }
        self.supervisor.rebuild(failure, &self.policy)?;
        self.recovery.restore(&mut outputs.unflushed);
        Ok(())
    }

    /// sink: flushes its input, so that a later failure cannot lose it. Other kinds: tells the guest that its
    /// input has ended, and takes its last outputs.
    fn settle(&mut self, outputs: &mut Outputs) -> Result<(), Stopped> {
        // The end of the input closes all windows.
        let step = if self.kind == Kind::Window { Step::advance(i64::MAX) } else { Step::End(1) };
        self.take_steps(step, outputs)
    }

    /// Runs a step, what it leads to, and what is left after its failure. Its outputs belong to no batch, so they wait
    /// for no turn.
    fn take_steps(&mut self, step: Step, outputs: &mut Outputs) -> Result<(), Stopped> {
        self.recovery.set_ticket(None);
        if let Err((step, failure)) = self.take_step(step, outputs)? {
            self.failed(step, &failure, outputs)?;
        }
        self.send(outputs)?;
        while self.recover(outputs)? {}
        Ok(())
    }

    /// sink: marks all its input as durable.
    fn is_durable(&self, outputs: &mut Outputs) {
        for batch in outputs.unflushed.take() {
            self.policy.counters.handled.add(batch.len() as u64);
            self.pool.put(batch);
        }
    }

    /// Sends the outputs when it is the turn of their batch. The turn then ends, unless more of that batch must
    /// be recovered.
    fn send_in_turn(&mut self, outputs: &mut Outputs) -> Result<(), Stopped> {
        let (Some(sequencer), Some(ticket)) = (self.sequencer.clone(), self.recovery.ticket()) else {
            self.send(outputs)?;
            return if self.recovery.is_empty() { self.move_on() } else { Ok(()) };
        };
        sequencer.wait(ticket).map_err(|_| Stopped)?;
        self.send(outputs)?;
        if self.recovery.is_empty() {
            self.move_on()?;
        }
        if self.recovery.is_empty() {
            self.outlets.flush()?;
            // Later, it might not be the newest watermark of the lanes any more.
            self.outlets.tell()?;
            sequencer.advance();
        }
        Ok(())
    }

    fn send(&mut self, outputs: &mut Outputs) -> Result<(), Stopped> {
        if self.inlet.goes_on() {
            self.outlets.main.answers_follow();
        }
        let Outlets { main, rejects, sides } = &mut self.outlets;
        for batch in outputs.main.drain(..) {
            main.send(batch)?;
        }
        for batch in outputs.rejects.drain(..) {
            rejects.send(batch)?;
        }
        for (port, batch) in outputs.sides.drain(..) {
            match sides.get_mut(port) {
                Some(side) => side.send(batch)?,
                None => self.pool.put(batch),
            }
        }
        Ok(())
    }

    /// Sends the gathered outputs and reads the clock, because nothing waits. The buffer of the next answer serves
    /// other lanes meanwhile: with a thousand instances, most wait at any time.
    fn idle(&mut self, clock: &mut LaneClock) -> Result<(), Stopped> {
        self.supervisor.guest().rest();
        if let Some(answer) = self.supervisor.guest().resting_answer() {
            self.pool.reclaim_buffer(answer.column());
        }
        clock.read();
        self.outlets.flush()?;
        self.outlets.tell_in_silence()
    }

    /// Hands over what the lane has at an epoch. Everything before the epoch has been answered.
    pub(super) fn cross(&mut self, epoch: u64, outputs: &mut Outputs) -> Result<(), Stopped> {
        if self.kind == Kind::Sink {
            self.settle(outputs)?;
        }
        if let Err(error) = fault_point("lane.crossing") {
            let failure = PipelineError::connector(&self.policy.stage, &error.to_string());
            return Err(self.policy.control.fail(failure));
        }
        if let Some(epochs) = &mut self.epochs {
            let begun = epochs.begun(epoch);
            if matches!(self.kind, Kind::Process | Kind::Window) && !self.has_ended {
                let kind = if begun.whole { FrameKind::Base } else { FrameKind::Changes };
                self.supervisor.guest().save(begun.whole, &mut |state| epochs.part(kind, state.to_vec()))?;
            }
            if self.has_ended {
                epochs.part(FrameKind::Ended, Vec::new())?;
            }
            if let Some(saved) = self.time.save() {
                epochs.part(FrameKind::Watermark, saved)?;
            }
            epochs.done(begun)?;
        }
        self.outlets.mark(epoch)
    }

    /// Closes the guest after the last batch.
    pub(super) fn end(&mut self, outputs: &mut Outputs) -> Result<(), Stopped> {
        if !self.has_ended && !self.has_closed {
            self.settle(outputs)?;
        }
        if let Err(failure) = self.supervisor.close(&self.policy.counters) {
            self.policy.errors.count(failure.code.name());
            tracing::warn!(
                operator = &*self.policy.stage,
                instance = self.policy.instance,
                %failure,
                "close failed; the earlier output remains valid"
            );
        }
        self.send(outputs)?;
        self.outlets.flush()?;
        if let Some(epochs) = &mut self.epochs {
            epochs.end(Vec::new());
        }
        Ok(())
    }

    /// Counts a broken limit. The first failure of each kind is a warning although a retry may succeed, because
    /// many failures make a run slow. The other failures are logged at debug level.
    fn note(&mut self, failure: &Failure, rows: usize) {
        self.supervisor.measure(&self.policy.counters);
        if let Some(limit) = failure.limit() {
            self.policy.errors.breach(limit);
        }
        let (operator, instance, backtrace) = (&*self.policy.stage, self.policy.instance, &failure.backtrace);
        if self.warned.contains(&failure.code) {
            tracing::debug!(operator, instance, rows, %failure, backtrace, "a call failed");
        } else {
            self.warned.push(failure.code);
            tracing::warn!(operator, instance, rows, %failure, "a call failed (logged once for each kind of failure)");
        }
    }
}

/// The fields of the outputs for this batch.
fn shape_of<'a>(output: &'a mut Option<FieldOutput>, batch: &Batch) -> Option<&'a OutputShape> {
    Some(output.as_mut()?.shape(batch.table()?.schema()))
}

/// The outputs that keep fields of this batch.
fn kept_by<'a>(kept: &'a mut Option<KeptFields>, batch: &Batch) -> Vec<Option<&'a OutputShape>> {
    match (kept, batch.table()) {
        (Some(kept), Some(table)) => kept.shapes(table.schema()),
        _ => Vec::new(),
    }
}

/// Runs one batch on a guest, with nothing else in flight.
#[expect(clippy::result_large_err, reason = "the batch is passed by value, and failures are rare")]
fn call(guest: &mut dyn LaneGuest, batch: Batch) -> Result<(Batch, &mut Answer), (Batch, Failure)> {
    let refused = |batch| (batch, Failure::new(FailureCode::Restarts, "the guest accepts no batch (a host fault)"));
    guest.hand_over(InFlight::new(batch, 0)).map_err(|held| refused(held.batch))?;
    match guest.answer() {
        Some((held, Ok(answer))) => Ok((held.batch, answer)),
        Some((held, Err(failure))) => Err((held.batch, failure)),
        None => Err(refused(Batch::new())),
    }
}
