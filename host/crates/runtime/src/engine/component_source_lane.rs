use std::sync::Arc;
use std::time::Duration;

use super::epochs::EpochLane;
use super::guest_supervisor::{GuestSupervisor, LOST_WORKERS};
use super::lane_clock::LaneClock;
use super::on_error_policy::OnErrorPolicy;
use super::outlet::Outlet;
use super::outlets::Outlets;
use super::printed_outputs::PrintedOutputs;
use super::saved_run::GuestPosition;
use super::source_clock::SourceClock;
use super::source_lane::SourceEnd;
use super::stopped::Stopped;
use super::target::{BATCH_BYTES, BATCH_RECORDS};
use sage_batch::{Batch, BatchPool, Origin};
use sage_sandbox::{Failure, Progress};
use sage_store::FrameKind;

/// The single lane of a source component's instance: asks its guest for records and sends them.
///
/// The lane stores the guest's position after each answer. A failed guest is replaced by a fresh guest that
/// continues from that position, so no record is sent twice. A source that fails `retries + 1` times at one
/// position fails the pipeline, because there is no record to give up. If the worker process died, the source
/// gets at least [`LOST_WORKERS`] more attempts, because there may be another cause.
pub(super) struct ComponentSourceLane {
    pub(super) supervisor: GuestSupervisor,
    pub(super) retries: u32,
    pub(super) outlets: Outlets,
    pub(super) policy: OnErrorPolicy,
    pub(super) pool: Arc<BatchPool>,
    /// The outputs by field that are printed.
    pub(super) printed: PrintedOutputs,
    /// The number of this instance in the run's provenance.
    pub(super) number: u16,
    /// The number of instances of the source.
    pub(super) instances: u32,
    /// The epochs of the run, if it has any.
    pub(super) epochs: Option<EpochLane>,
    /// How far event time is, if the source has a watermark.
    pub(super) clock: Option<Box<SourceClock>>,
    /// Where an earlier run was.
    pub(super) from: Option<GuestPosition>,
    /// Whether the source had ended in the run before.
    pub(super) has_ended: bool,
}

impl ComponentSourceLane {
    pub(super) fn run(mut self) -> SourceEnd {
        let mut clock = LaneClock::new(Arc::clone(&self.policy.counters));
        // On a stop, the control already has the cause.
        self.work(&mut clock).unwrap_or(SourceEnd::StoppedEarly)
    }

    fn work(&mut self, clock: &mut LaneClock) -> Result<SourceEnd, Stopped> {
        let control = Arc::clone(&self.policy.control);
        control.wait_for_go()?;
        let (mut sent, mut position) = self.begin()?;
        let mut failures = 0;
        while !control.is_draining() {
            if control.is_stopped() {
                return Err(Stopped);
            }
            if self.epochs.as_ref().is_some_and(|epochs| epochs.due().is_some()) {
                clock.read();
                self.pause(sent, &position)?;
                continue;
            }
            if self.has_ended {
                return self.exhausted(sent, &position);
            }
            match self.next(&mut sent) {
                Ok(progress) => {
                    failures = 0;
                    position = self.supervisor.guest().position();
                    clock.batch();
                    self.supervisor.measure(&self.policy.counters);
                    let progress = progress?;
                    self.move_on()?;
                    match progress {
                        Progress::More => {}
                        Progress::Idle(time) => {
                            self.flush()?;
                            let time = self.changes_in().map_or(time, |changes| changes.min(time));
                            self.supervisor.guest().rest();
                            clock.read();
                            match &self.epochs {
                                Some(epochs) => epochs.rest(time),
                                None => control.rest(time),
                            }
                        }
                        Progress::End => return self.exhausted(sent, &position),
                    }
                }
                Err(failure) => {
                    if let Some(limit) = failure.limit() {
                        self.policy.errors.breach(limit);
                    }
                    failures += 1;
                    let retries = if failure.worker_died { self.retries.max(LOST_WORKERS) } else { self.retries };
                    if failures > retries {
                        return Err(self.policy.stage_failed(&failure));
                    }
                    self.policy.counters.retried.add(1);
                    self.go_on_from(&position, &failure)?;
                }
            }
        }
        self.close();
        self.flush()?;
        Ok(SourceEnd::StoppedEarly)
    }

    /// Moves event time on behind everything that was sent.
    fn move_on(&mut self) -> Result<(), Stopped> {
        let Some(clock) = &mut self.clock else { return Ok(()) };
        self.outlets.advance(clock.watermark());
        self.outlets.tell_in_silence()
    }

    /// The time until event time changes without records, or has to be told.
    fn changes_in(&mut self) -> Option<Duration> {
        let clock = self.clock.as_ref()?;
        clock.changes_in().into_iter().chain(self.outlets.tells_in()).min()
    }

    /// The number of records that were sent, and the position behind them.
    fn begin(&mut self) -> Result<(u64, Result<Vec<u8>, Failure>), Stopped> {
        let Some(GuestPosition { records, position }) = self.from.take() else {
            return Ok((0, self.supervisor.guest().position()));
        };
        if let Err(failure) = self.supervisor.guest().seek(&position) {
            return Err(self.policy.stage_failed(&failure));
        }
        Ok((records, Ok(position)))
    }

    /// Hands the position over at an epoch, and waits until it is over.
    fn pause(&mut self, records: u64, position: &Result<Vec<u8>, Failure>) -> Result<(), Stopped> {
        let position = match position {
            Ok(position) => GuestPosition { records, position: position.clone() },
            Err(failure) => return Err(self.policy.stage_failed(failure)),
        };
        let Some(epochs) = &mut self.epochs else { return Ok(()) };
        let Some(epoch) = epochs.due() else { return Ok(()) };
        epochs.part(FrameKind::Position, position.to_bytes())?;
        if self.has_ended {
            epochs.part(FrameKind::Ended, Vec::new())?;
        }
        if let Some(saved) = self.clock.as_ref().and_then(|clock| clock.save()) {
            epochs.part(FrameKind::Watermark, saved)?;
        }
        self.outlets.mark(epoch.number)?;
        epochs.done(epoch)?;
        self.supervisor.guest().rest();
        epochs.wait();
        Ok(())
    }

    fn exhausted(&mut self, records: u64, position: &Result<Vec<u8>, Failure>) -> Result<SourceEnd, Stopped> {
        self.close();
        self.flush()?;
        self.policy.counters.exhausted.set(1);
        if let Some(epochs) = &mut self.epochs {
            let position = GuestPosition { records, position: position.clone().unwrap_or_default() };
            epochs.end(vec![(FrameKind::Position, position.to_bytes())]);
        }
        Ok(SourceEnd::Exhausted)
    }

    fn next(&mut self, sent: &mut u64) -> Result<Result<Progress, Stopped>, Failure> {
        let (progress, answer) = self
            .supervisor
            .guest()
            .next(u32::try_from(BATCH_RECORDS).unwrap_or(u32::MAX), u32::try_from(BATCH_BYTES).unwrap_or(u32::MAX))?;
        let mut delivered = Ok(());
        for emission in answer.emissions() {
            let mut batch = std::mem::replace(&mut emission.batch, self.pool.take());
            let (first, rows) = (*sent, batch.len() as u64);
            *sent += rows;
            // The instances number the source's records in turn, so that source and offset alone identify a
            // record too.
            let (instance, instances) = (u64::from(self.policy.instance), u64::from(self.instances.max(1)));
            batch.set_origins((first..first + rows).map(|n| Origin::new(self.number, n * instances + instance)));
            batch.set_ingested(self.policy.control.now());
            delivered = delivered.and_then(|()| {
                let batch = self.printed.without_unprintable(emission.port, batch, &self.policy, &self.pool)?;
                if let Some(clock) = &mut self.clock {
                    clock.saw(&batch);
                }
                send(emission.port, batch, &mut self.outlets, &self.policy, &self.pool)
            });
        }
        self.supervisor.succeeded();
        Ok(delivered.map(|()| progress))
    }

    fn go_on_from(&mut self, position: &Result<Vec<u8>, Failure>, failure: &Failure) -> Result<(), Stopped> {
        let mut last = failure.clone();
        for _ in 0..=LOST_WORKERS {
            self.supervisor.rebuild(&last, &self.policy)?;
            let sought = match position {
                Ok(position) => self.supervisor.guest().seek(position),
                Err(failure) => Err(failure.clone()),
            };
            match sought {
                Ok(()) => return Ok(()),
                // The worker died during the seek, so the next guest has sent nothing either.
                Err(failure) if failure.worker_died && position.is_ok() => last = failure,
                Err(failure) => return Err(self.policy.stage_failed(&failure)),
            }
        }
        Err(self.policy.stage_failed(&last))
    }

    fn flush(&mut self) -> Result<(), Stopped> {
        self.outlets.main.flush()?;
        self.outlets.sides.iter_mut().try_for_each(Outlet::flush)
    }

    fn close(&mut self) {
        if let Err(failure) = self.supervisor.close(&self.policy.counters) {
            self.policy.errors.count(failure.code.name());
            tracing::warn!(
                source = &*self.policy.stage,
                instance = self.policy.instance,
                %failure,
                "close failed; the earlier output remains valid"
            );
        }
    }
}

fn send(
    port: u32,
    batch: Batch,
    outlets: &mut Outlets,
    policy: &OnErrorPolicy,
    pool: &BatchPool,
) -> Result<(), Stopped> {
    let outlet = match (port as usize).checked_sub(1) {
        None => Some(&mut outlets.main),
        Some(side) => outlets.sides.get_mut(side).filter(|outlet| outlet.is_read()),
    };
    match outlet {
        Some(outlet) => {
            policy.counters.records_out.add(batch.len() as u64);
            policy.counters.bytes_out.add(batch.record_bytes() as u64);
            outlet.send(batch)
        }
        None => {
            policy.counters.unread.add(batch.len() as u64);
            pool.put(batch);
            Ok(())
        }
    }
}
