use std::sync::Arc;
use std::time::Duration;

use super::answers::{AnswerCollector, Outputs};
use super::epochs::EpochLane;
use super::field_output::{FieldOutput, OutputShape};
use super::field_text::text_for_people;
use super::guest_supervisor::{GuestSupervisor, LOST_WORKERS};
use super::inlet::Inlet;
use super::kept_fields::KeptFields;
use super::lane_clock::LaneClock;
use super::lane_guest::{InFlight, LaneGuest, Wakers};
use super::on_error_policy::OnErrorPolicy;
use super::outlets::Outlets;
use super::printed_outputs::PrintedOutputs;
use super::recovery::{Recovery, Step};
use super::sequencer::Sequencer;
use super::stopped::Stopped;
use sage_batch::{Batch, BatchPool, Inbox};
use sage_plan::Kind;
use sage_sandbox::{Answer, Failure, FailureCode};
use sage_store::FrameKind;

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
    /// Whether the lane had ended in the run before: its guest is not told of the end a second time.
    pub(super) has_ended: bool,
}

/// The result of a lane's turn in a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// The lane took an answer.
    Moved,
    /// The lane waits for its guest, for batches, or for room.
    Waits,
    /// The lane has sent its last output.
    Ended,
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
        loop {
            if !outputs.unflushed.is_due(self.flush_interval) {
                self.inlet.fill(self.supervisor.guest())?;
            }
            if self.take_answer(&mut outputs)? {
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

    /// Waits for the oldest answer and sends its outputs. `false` means that nothing is in flight. After a
    /// failure, [recover](Self::recover) must be called before the next answer is taken.
    fn take_answer(&mut self, outputs: &mut Outputs) -> Result<bool, Stopped> {
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
        self.recovery.set_ticket(Some(ticket));
        self.send_in_turn(outputs)?;
        done?;
        Ok(true)
    }

    /// In a chain: takes an answer, if one is available and `can_go_on` is set, and hands over the available
    /// batches.
    pub(super) fn turn(&mut self, outputs: &mut Outputs, can_go_on: bool) -> Result<Turn, Stopped> {
        if !self.recovery.is_empty() {
            // The outputs of a piece are sent before the next piece makes more.
            if !can_go_on {
                return Ok(Turn::Waits);
            }
            self.recover(outputs)?;
            self.supervisor.measure(&self.policy.counters);
            return Ok(Turn::Moved);
        }
        self.inlet.fill(self.supervisor.guest())?;
        let guest = self.supervisor.guest();
        if guest.in_flight() > 0 {
            if !can_go_on || !guest.direct().is_none_or(|guest| guest.is_answered()) {
                return Ok(Turn::Waits);
            }
            self.take_answer(outputs)?;
            self.supervisor.measure(&self.policy.counters);
            return Ok(Turn::Moved);
        }
        if let Some(epoch) = self.inlet.take_crossing() {
            self.cross(epoch, outputs)?;
            return Ok(Turn::Moved);
        }
        if !self.inlet.has_ended() {
            return Ok(Turn::Waits);
        }
        self.end(outputs)?;
        Ok(Turn::Ended)
    }

    /// In a chain: returns `true` if this lane has room for a batch.
    pub(super) fn can_take(&mut self) -> bool {
        self.recovery.is_empty() && self.inlet.is_clear() && self.supervisor.guest().has_room()
    }

    /// In a chain: sends the gathered outputs.
    pub(super) fn flush(&mut self) -> Result<(), Stopped> {
        self.supervisor.guest().rest();
        self.outlets.flush()
    }

    /// In a chain: see [`DirectGuest::arm`](super::DirectGuest::arm).
    pub(super) fn arm(&mut self, lightly: bool) -> bool {
        self.supervisor.guest().direct().is_none_or(|guest| guest.arm(lightly))
    }

    /// In a chain: see [`DirectGuest::disarm`](super::DirectGuest::disarm). A guest whose process has died is replaced
    /// at once if nothing is in flight. Otherwise the next answer reports the death.
    pub(super) fn disarm(&mut self, died: bool) -> Result<bool, Stopped> {
        let guest = self.supervisor.guest();
        let rung = guest.direct().is_none_or(|guest| guest.disarm(died));
        if died && guest.in_flight() == 0 {
            self.wait(&Outputs::default())?;
        }
        Ok(rung || died)
    }

    /// In a chain: see [`DirectGuest::wakers`](super::DirectGuest::wakers).
    pub(super) fn wakers(&mut self) -> Option<Wakers<'_>> {
        self.supervisor.guest().direct()?.wakers()
    }

    /// Returns `true` if batches bypass this lane on the way to its guest.
    pub(super) fn goes_past(&self) -> bool {
        self.inlet.has_direct_send()
    }

    pub(super) fn inbox(&self) -> &Arc<Inbox> {
        self.inlet.inbox()
    }

    /// Waits for work. A guest that is lost during the wait is replaced at once.
    fn wait(&mut self, outputs: &Outputs) -> Result<(), Stopped> {
        let timeout = outputs.unflushed.timeout(self.flush_interval);
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
    fn recover(&mut self, outputs: &mut Outputs) -> Result<bool, Stopped> {
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
        }
        self.supervisor.rebuild(failure, &self.policy)?;
        self.recovery.restore(&mut outputs.unflushed);
        Ok(())
    }

    /// sink: flushes its input, so that a later failure cannot lose it. Other kinds: tells the guest that its
    /// input has ended, and takes its last outputs.
    fn settle(&mut self, outputs: &mut Outputs) -> Result<(), Stopped> {
        // These outputs belong to no batch, so they wait for no turn.
        self.recovery.set_ticket(None);
        if let Err((step, failure)) = self.take_step(Step::End(1), outputs)? {
            self.failed(step, &failure, outputs)?;
        }
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
            return self.send(outputs);
        };
        sequencer.wait(ticket).map_err(|_| Stopped)?;
        self.send(outputs)?;
        if self.recovery.is_empty() {
            self.outlets.flush()?;
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
        self.outlets.flush()
    }

    /// Hands over what the lane has at an epoch. Everything before the epoch has been answered.
    fn cross(&mut self, epoch: u64, outputs: &mut Outputs) -> Result<(), Stopped> {
        if self.kind == Kind::Sink {
            self.settle(outputs)?;
        }
        if let Some(epochs) = &mut self.epochs {
            let begun = epochs.begun(epoch);
            if self.kind == Kind::Process && !self.has_ended {
                let kind = if begun.whole { FrameKind::Base } else { FrameKind::Changes };
                self.supervisor.guest().save(begun.whole, &mut |state| epochs.part(kind, state.to_vec()))?;
            }
            if self.has_ended {
                epochs.part(FrameKind::Ended, Vec::new())?;
            }
            epochs.done(begun)?;
        }
        self.outlets.mark(epoch)
    }

    /// Closes the guest after the last batch.
    fn end(&mut self, outputs: &mut Outputs) -> Result<(), Stopped> {
        if !self.has_ended {
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
