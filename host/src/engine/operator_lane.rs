use std::sync::Arc;
use std::time::Duration;

use super::answers::{Outputs, Taking};
use super::control::Stopped;
use super::fate::Fate;
use super::keeper::Keeper;
use super::lane_clock::LaneClock;
use super::outlet::Outlet;
use super::turnstile::Turnstile;
use crate::batch::{Batch, BatchPool, Inbox, Popped};
use crate::observe::Latency;
use crate::plan::Kind;
use crate::sandbox::{Failure, FailureCode};

/// One lane of an operator or of a sink component: takes batches, calls its guest, sends what it answers.
///
/// A batch that fails is tried again `retries` times on a fresh guest, then halved until each record that fails stands
/// alone; the others go on, in order. What becomes of the one that stands alone is its [`Fate`].
pub(super) struct OperatorLane {
    pub(super) keeper: Keeper,
    pub(super) kind: Kind,
    pub(super) retries: u32,
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
        loop {
            let popped = match self.inbox.pop(Some(Duration::ZERO)) {
                Popped::Empty => {
                    self.idle(clock)?;
                    self.inbox.pop(None)
                }
                popped => popped,
            };
            match popped {
                Popped::Batch(batch, ticket) => {
                    let rows = batch.len() as u64;
                    let counters = &self.fate.counters;
                    counters.records_in.add(rows);
                    counters.bytes_in.add(batch.payloads().byte_len() as u64);
                    if let Some(latency) = &self.latency {
                        latency.record(self.fate.control.now().saturating_sub(batch.ingested()), rows);
                    }
                    let done = self.attempt(batch, 1, &mut outputs);
                    self.send_in_turn(&mut outputs, ticket)?;
                    done?;
                    clock.batch();
                    self.measure();
                }
                Popped::Empty => {}
                Popped::End => return self.end(&mut outputs),
                Popped::Cut => return Err(Stopped),
            }
        }
    }

    /// Has the guest take care of a batch, for the `attempt`-th time.
    fn attempt(&mut self, batch: Batch, attempt: u32, outputs: &mut Outputs) -> Result<(), Stopped> {
        let called = self.keeper.guest().and_then(|guest| guest.call(&batch));
        let failure = match called {
            Ok(answer) => {
                let taking =
                    Taking { kind: self.kind, attempt, outlets: &self.outlets, fate: &self.fate, pool: &self.pool };
                let result = taking.take(batch, answer, outputs);
                self.keeper.succeeded();
                return result;
            }
            Err(failure) => failure,
        };
        self.note(&failure, batch.len());
        if batch.len() == 1 && attempt > self.retries {
            // The record's fate first: if it stops the run, there is no use in another guest.
            if let Some(record) = batch.record(0) {
                self.fate.failed(record, &failure, attempt)?;
            }
            self.pool.put(batch);
            return self.keeper.rebuild(&failure, &self.fate);
        }
        self.keeper.rebuild(&failure, &self.fate)?;
        self.fate.counters.retried.add(1);
        if attempt <= self.retries {
            return self.attempt(batch, attempt + 1, outputs);
        }
        let middle = batch.len() / 2;
        let mut halves = [(0, middle), (middle, batch.len())].map(|(start, end)| {
            let mut half = self.pool.take();
            // An empty batch takes any shape.
            let _ = half.append_range(&batch, start, end);
            Some(half)
        });
        self.pool.put(batch);
        halves.iter_mut().filter_map(Option::take).try_for_each(|half| self.attempt(half, attempt + 1, outputs))
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
        clock.read();
        self.outlets.flush()
    }

    /// The last batch is done: the guest has its last word.
    fn end(&mut self, outputs: &mut Outputs) -> Result<(), Stopped> {
        let mut attempt = 1;
        loop {
            let ended = self.keeper.guest().and_then(|guest| guest.end());
            let failure = match ended {
                Ok(answer) => {
                    let taking =
                        Taking { kind: self.kind, attempt, outlets: &self.outlets, fate: &self.fate, pool: &self.pool };
                    taking.take(self.pool.take(), answer, outputs)?;
                    break;
                }
                Err(failure) => failure,
            };
            self.note(&failure, 0);
            if attempt > self.retries {
                return Err(self.fate.stage_failed(&failure));
            }
            self.keeper.rebuild(&failure, &self.fate)?;
            attempt += 1;
        }
        self.measure();
        if let Err(failure) = self.keeper.close() {
            self.fate.errors.count(failure.code.name());
            tracing::warn!(operator = &*self.fate.stage, instance = self.fate.instance, %failure, "close failed; its output stands");
        }
        self.send(outputs)?;
        self.outlets.flush()
    }

    fn measure(&mut self) {
        let counters = &self.fate.counters;
        if let Ok(guest) = self.keeper.guest() {
            guest.pace();
            counters.throttled_nanoseconds.add(nanoseconds(guest.take_throttled()));
            counters.log_bytes_dropped.add(guest.take_log_bytes_dropped());
        }
    }

    /// Counts a broken limit. The first failure of each kind is a warning, though a retry may mend it: many of them make a run slow. The rest is
    /// for whoever looks closely.
    fn note(&mut self, failure: &Failure, rows: usize) {
        if let Some(limit) = failure.code.limit() {
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

pub(super) fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
