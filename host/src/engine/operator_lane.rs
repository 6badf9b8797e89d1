use std::sync::Arc;
use std::time::Duration;

use super::answers::{Outputs, Taking};
use super::control::Stopped;
use super::fate::Fate;
use super::flight::Flight;
use super::keeper::{Keeper, LOST_WORKERS};
use super::lane_clock::LaneClock;
use super::outlet::Outlet;
use super::recovery::{Recovery, Step};
use super::turnstile::Turnstile;
use crate::batch::{Batch, BatchPool, Inbox, Popped};
use crate::observe::Latency;
use crate::plan::Kind;
use crate::sandbox::{Failure, FailureCode};

/// One lane of an operator or of a sink component: takes batches, calls its guest, sends what it answers.
///
/// A batch that fails is tried again `retries` times on a fresh guest, then halved until each record that fails stands
/// alone; the others go on, in order. What becomes of the one that stands alone is its [`Fate`]. What a sink component takes is handled when it has flushed
/// it; until then it is kept, to be written again by the guest that takes the place of one that failed.
pub(super) struct OperatorLane {
    pub(super) keeper: Keeper,
    pub(super) kind: Kind,
    pub(super) retries: u32,
    /// sink: how long what it took may wait to be made durable.
    pub(super) flush_interval: Duration,
    pub(super) inbox: Arc<Inbox>,
    /// Where other lanes take from the same inbox.
    pub(super) turnstile: Option<Arc<Turnstile>>,
    pub(super) outlets: Outlets,
    pub(super) fate: Fate,
    pub(super) pool: Arc<BatchPool>,
    /// A sink component: how long its records took to get here.
    pub(super) latency: Option<Arc<Latency>>,
    /// The codes of failed calls that were warned of already.
    pub(super) warned: Vec<FailureCode>,
}

/// Where a lane's records leave: its ports.
pub(super) struct Outlets {
    pub(super) main: Outlet,
    pub(super) rejects: Outlet,
    /// By port number, from 1.
    pub(super) sides: Vec<Outlet>,
}

impl Outlets {
    fn flush(&mut self) -> Result<(), Stopped> {
        self.main.flush()?;
        self.rejects.flush()?;
        self.sides.iter_mut().try_for_each(Outlet::flush)
    }
}

impl OperatorLane {
    /// Works until the input ends or the run stops. The guest must have been started.
    pub(super) fn run(mut self) {
        let mut clock = LaneClock::new(Arc::clone(&self.fate.counters));
        // Stopped: the cause is with the control already.
        let _ = self.work(&mut clock);
    }

    fn work(&mut self, clock: &mut LaneClock) -> Result<(), Stopped> {
        let mut outputs = Outputs::default();
        let mut flight = Flight::default();
        loop {
            let more = self.fill(&mut flight, &outputs)?;
            let Some((batch, ticket)) = flight.take_oldest() else {
                if !more {
                    return self.end(&mut outputs);
                }
                if outputs.unflushed.is_due(self.flush_interval) {
                    self.settle(&mut outputs)?;
                    continue;
                }
                self.idle(clock)?;
                match self.inbox.pop(outputs.unflushed.patience(self.flush_interval)) {
                    Popped::Batch(batch, ticket) => self.admit(batch, ticket, &mut flight),
                    Popped::Empty | Popped::End => {}
                    Popped::Cut => return Err(Stopped),
                }
                continue;
            };
            let done = match self.keeper.guest().answer(&batch) {
                Ok(answer) => {
                    let taking = Taking {
                        kind: self.kind,
                        attempt: 1,
                        outlets: &self.outlets,
                        fate: &self.fate,
                        pool: &self.pool,
                    };
                    let taken = taking.take(batch, answer, &mut outputs);
                    self.keeper.succeeded();
                    taken
                }
                Err(failure) => {
                    flight.lost();
                    self.recover(Step::Call(batch, 1), &failure, &mut outputs)
                }
            };
            self.send_in_turn(&mut outputs, ticket)?;
            done?;
            clock.batch();
            self.keeper.measure(&self.fate.counters);
        }
    }

    /// Hands over what waits, without waiting for it: nothing more where a flush is due. `false`: the input has ended.
    fn fill(&mut self, flight: &mut Flight, outputs: &Outputs) -> Result<bool, Stopped> {
        loop {
            if !flight.hand_over(self.keeper.guest()) || outputs.unflushed.is_due(self.flush_interval) {
                return Ok(true);
            }
            match self.inbox.pop(Some(Duration::ZERO)) {
                Popped::Batch(batch, ticket) => self.admit(batch, ticket, flight),
                Popped::Empty => return Ok(true),
                Popped::End => return Ok(false),
                Popped::Cut => return Err(Stopped),
            }
        }
    }

    fn admit(&self, batch: Batch, ticket: u64, flight: &mut Flight) {
        let rows = batch.len() as u64;
        let counters = &self.fate.counters;
        counters.records_in.add(rows);
        counters.bytes_in.add(batch.payloads().byte_len() as u64);
        if let Some(latency) = &self.latency {
            latency.record(self.fate.control.now().saturating_sub(batch.ingested()), rows);
        }
        flight.add(batch, ticket);
    }

    /// Goes on after a step that failed, until what it was about has its end: see [`Recovery`].
    fn recover(&mut self, step: Step, failure: &Failure, outputs: &mut Outputs) -> Result<(), Stopped> {
        let mut steps = Recovery::default();
        self.failed(step, failure, &mut steps, outputs)?;
        while let Some(step) = steps.next() {
            if let Err((step, failure)) = self.take_step(step, outputs)? {
                self.failed(step, &failure, &mut steps, outputs)?;
            }
        }
        Ok(())
    }

    /// Has the guest take one step, with nothing else under way. A step that failed comes back.
    fn take_step(&mut self, step: Step, outputs: &mut Outputs) -> Result<Result<(), (Step, Failure)>, Stopped> {
        let (Step::Call(_, attempt) | Step::End(attempt)) = step;
        let answer = match &step {
            Step::Call(batch, _) => {
                self.keeper.guest().submit(batch);
                self.keeper.guest().answer(batch)
            }
            Step::End(_) => self.keeper.guest().end(),
        };
        let answer = match answer {
            Ok(answer) => answer,
            Err(failure) => return Ok(Err((step, failure))),
        };
        let (batch, is_end) = match step {
            Step::Call(batch, _) => (batch, false),
            Step::End(_) => (self.pool.take(), true),
        };
        let taking = Taking { kind: self.kind, attempt, outlets: &self.outlets, fate: &self.fate, pool: &self.pool };
        let taken = taking.take(batch, answer, outputs);
        self.keeper.succeeded();
        if is_end {
            self.is_durable(outputs);
        }
        taken.map(Ok)
    }

    /// A step failed: decides what is to be done about it, and puts a fresh guest in the place of the one that failed.
    fn failed(
        &mut self,
        step: Step,
        failure: &Failure,
        steps: &mut Recovery,
        outputs: &mut Outputs,
    ) -> Result<(), Stopped> {
        if self.fate.control.is_stopped() {
            return Err(Stopped);
        }
        // A worker that died may have died of something else than these records: they get another chance together.
        let retries = if failure.worker_died { self.retries.max(LOST_WORKERS) } else { self.retries };
        match step {
            Step::Call(batch, attempt) => {
                self.note(failure, batch.len());
                match batch.record(0) {
                    // The record's fate first: if it stops the run, there is no use in another guest.
                    Some(record) if batch.len() == 1 && attempt > retries => {
                        self.fate.failed(record, failure, attempt)?;
                        self.pool.put(batch);
                    }
                    _ => {
                        self.fate.counters.retried.add(1);
                        if attempt <= retries {
                            steps.again(Step::Call(batch, attempt));
                        } else {
                            steps.halve(batch, attempt, &self.pool);
                        }
                    }
                }
            }
            Step::End(attempt) => {
                self.note(failure, 0);
                if attempt > retries {
                    return Err(self.fate.stage_failed(failure));
                }
                steps.again(step);
            }
        }
        self.keeper.rebuild(failure, &self.fate)?;
        steps.restore(&mut outputs.unflushed);
        Ok(())
    }

    /// sink: has everything made durable that it took, before it may fail and lose it. The others: tells them that no more comes, and takes what they have
    /// to say to that.
    fn settle(&mut self, outputs: &mut Outputs) -> Result<(), Stopped> {
        match self.take_step(Step::End(1), outputs)? {
            Ok(()) => Ok(()),
            Err((step, failure)) => self.recover(step, &failure, outputs),
        }
    }

    /// sink: everything that it took is durable now.
    fn is_durable(&self, outputs: &mut Outputs) {
        for batch in outputs.unflushed.take() {
            self.fate.counters.handled.add(batch.len() as u64);
            self.pool.put(batch);
        }
    }

    fn send_in_turn(&mut self, outputs: &mut Outputs, ticket: u64) -> Result<(), Stopped> {
        let Some(turnstile) = self.turnstile.clone() else { return self.send(outputs) };
        turnstile.wait(ticket).map_err(|_| Stopped)?;
        self.send(outputs)?;
        self.outlets.flush()?;
        turnstile.advance();
        Ok(())
    }

    fn send(&mut self, outputs: &mut Outputs) -> Result<(), Stopped> {
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

    /// Nothing waits: what was gathered goes out, and the clocks are read.
    fn idle(&mut self, clock: &mut LaneClock) -> Result<(), Stopped> {
        self.keeper.guest().rest();
        clock.read();
        self.outlets.flush()
    }

    /// The last batch is done: the guest has its last word.
    fn end(&mut self, outputs: &mut Outputs) -> Result<(), Stopped> {
        self.settle(outputs)?;
        if let Err(failure) = self.keeper.close(&self.fate.counters) {
            self.fate.errors.count(failure.code.name());
            tracing::warn!(operator = &*self.fate.stage, instance = self.fate.instance, %failure, "close failed; its output stands");
        }
        self.send(outputs)?;
        self.outlets.flush()
    }

    /// Counts a broken limit. The first failure of each kind is a warning, though a retry may mend it: many of them make a run slow. The rest is
    /// for whoever looks closely.
    fn note(&mut self, failure: &Failure, rows: usize) {
        self.keeper.measure(&self.fate.counters);
        if let Some(limit) = failure.limit() {
            self.fate.errors.breach(limit);
        }
        let (operator, instance, backtrace) = (&*self.fate.stage, self.fate.instance, &failure.backtrace);
        if self.warned.contains(&failure.code) {
            tracing::debug!(operator, instance, rows, %failure, backtrace, "a call failed");
        } else {
            self.warned.push(failure.code);
            tracing::warn!(operator, instance, rows, %failure, "a call failed (said once for each kind of failure)");
        }
    }
}
