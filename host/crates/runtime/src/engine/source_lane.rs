use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::control::Control;
use super::epochs::EpochLane;
use super::field_reader::{FieldReader, Unread};
use super::lane_clock::LaneClock;
use super::on_error_policy::OnErrorPolicy;
use super::outlet::Outlet;
use super::saved_run::Given;
use super::source_clock::SourceClock;
use super::stopped::Stopped;
use super::target::{BATCH_BYTES, BATCH_RECORDS};
use crate::connector::{ConnectorError, Filled, Source};
use sage_batch::Batch;
use sage_plan::OnError;
use sage_sandbox::{Failure, FailureCode};
use sage_store::FrameKind;

/// A built-in or embedder's source, shared with the progress display.
pub(super) type SharedSource = Arc<Mutex<Box<dyn Source>>>;

/// The single lane of a built-in source: fills batches and sends them.
pub(super) struct SourceLane {
    pub(super) source: SharedSource,
    pub(super) outlet: Outlet,
    pub(super) policy: OnErrorPolicy,
    /// Reads the fields that stages downstream read.
    pub(super) fields: Option<FieldReader>,
    /// The epochs of the run, if it has any.
    pub(super) epochs: Option<EpochLane>,
    /// How far event time is, if the source has a watermark.
    pub(super) clock: Option<Box<SourceClock>>,
    /// The records that the source has given.
    pub(super) given: Given,
    /// Where an earlier run was, which the lane has yet to reach.
    pub(super) from: Option<SourceStart>,
}

/// Where a source begins in a run that goes on from an epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SourceStart {
    /// Behind what it has given.
    Behind(Given),
    /// The source had no more records.
    Ended(Given),
}

/// The reason why a source ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SourceEnd {
    /// The source had no more records.
    Exhausted,
    /// A drain stopped the source, or the run was cut.
    StoppedEarly,
}

/// The result of a request for more records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Made {
    /// More records may be available at once.
    More,
    /// No records are available for this time.
    Idle(Duration),
    /// None before the epoch is over.
    Paused,
    /// The source has ended.
    End(SourceEnd),
}

impl SourceLane {
    pub(super) fn run(mut self) -> SourceEnd {
        let mut clock = LaneClock::new(Arc::clone(&self.policy.counters));
        // On a stop, the control already has the cause.
        self.work(&mut clock).unwrap_or(SourceEnd::StoppedEarly)
    }

    fn work(&mut self, clock: &mut LaneClock) -> Result<SourceEnd, Stopped> {
        let control = Arc::clone(&self.policy.control);
        control.wait_for_go()?;
        loop {
            let made = self.turn()?;
            clock.batch();
            match made {
                Made::More => {}
                Made::Paused => {
                    clock.read();
                    if let Some(epochs) = &self.epochs {
                        epochs.wait();
                    }
                }
                Made::Idle(time) => {
                    self.outlet.flush()?;
                    clock.read();
                    // The progress display reads the source meanwhile, so its lock is not held here.
                    let awaited = self.source.lock().unwrap_or_else(PoisonError::into_inner).awaited();
                    match awaited {
                        Some(file) => control.sources_end().sleep_at(&file, self.changes_in()),
                        None => match &self.epochs {
                            Some(epochs) => epochs.rest(time),
                            None => control.rest(time),
                        },
                    }
                }
                Made::End(end) => return Ok(end),
            }
        }
    }

    /// The time until the lane has to do something without records: its event time changes, or has to be told.
    fn changes_in(&self) -> Option<Duration> {
        let clock = self.clock.as_ref()?;
        clock.changes_in().into_iter().chain(self.outlet.tells_in()).min()
    }

    /// The target size of a batch. Where the fields of the records are read, less than the text goes on from stage to
    /// stage, so that a batch of twice the text halves the wake-ups and stays in the caches.
    fn batch_bytes(&self) -> usize {
        let bytes = self.outlet.batch_bytes();
        if self.fields.is_some() { 2 * bytes } else { bytes }
    }

    /// Makes a batch and sends it.
    pub(super) fn turn(&mut self) -> Result<Made, Stopped> {
        let control = &self.policy.control;
        if control.is_draining() {
            self.outlet.flush()?;
            return Ok(Made::End(SourceEnd::StoppedEarly));
        }
        if control.is_stopped() {
            return Err(Stopped);
        }
        if let Some(made) = self.epoch()? {
            return Ok(made);
        }
        if let Some(start) = self.from.take()
            && let Some(made) = self.go_on(start)?
        {
            return Ok(made);
        }
        let mut batch = self.outlet.next_batch();
        let batch_bytes = self.batch_bytes();
        let mut source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        let filled = source.fill(&mut batch, BATCH_RECORDS, batch_bytes);
        batch.set_ingested(self.policy.control.now());
        self.given.records += batch.len() as u64;
        let (batch, unread) = match &mut self.fields {
            Some(reader) => reader.take(batch, move |fields| source.take_fields(fields), self.outlet.pool()),
            None => {
                drop(source);
                (batch, None)
            }
        };
        let counters = &self.policy.counters;
        counters.records_out.add(batch.len() as u64);
        counters.bytes_out.add(batch.record_bytes() as u64);
        if let Some(clock) = &mut self.clock {
            clock.saw(&batch);
        }
        self.outlet.send(batch)?;
        if let Some(unread) = unread {
            self.pass_over(&unread)?;
        }
        if let Some(clock) = &mut self.clock {
            self.outlet.advance(clock.watermark());
            self.outlet.tell_in_silence()?;
        }
        match filled {
            Ok(Filled::More) => Ok(Made::More),
            Ok(Filled::Idle(time)) => Ok(Made::Idle(self.changes_in().map_or(time, |changes| changes.min(time)))),
            Ok(Filled::End) => self.ended(),
            Err(error) => match &error.unreadable {
                Some(unreadable) if self.policy.passes_over(unreadable) => {
                    self.given.unreadable += 1;
                    self.policy.passed_over(&error, unreadable)?;
                    Ok(Made::More)
                }
                unreadable => {
                    let goes_on = unreadable.is_some();
                    self.outlet.flush()?;
                    Err(self.policy.connector_failed(&if goes_on { with_way_on(error) } else { error }))
                }
            },
        }
    }

    fn ended(&mut self) -> Result<Made, Stopped> {
        self.outlet.flush()?;
        self.policy.counters.exhausted.set(1);
        if let Some(epochs) = &mut self.epochs {
            epochs.end(vec![(FrameKind::Position, self.given.to_bytes())]);
        }
        Ok(Made::End(SourceEnd::Exhausted))
    }

    /// Pauses for an epoch that has begun, or goes on pausing.
    fn epoch(&mut self) -> Result<Option<Made>, Stopped> {
        let Some(epochs) = &mut self.epochs else { return Ok(None) };
        let Some(epoch) = epochs.due() else { return Ok(epochs.is_paused().then_some(Made::Paused)) };
        let given = match &self.from {
            // The first epoch comes before the source has gone on.
            Some(SourceStart::Behind(given) | SourceStart::Ended(given)) => given.clone(),
            None => {
                let position = self.source.lock().unwrap_or_else(PoisonError::into_inner).position();
                Given { position, ..self.given.clone() }
            }
        };
        epochs.part(FrameKind::Position, given.to_bytes())?;
        if matches!(self.from, Some(SourceStart::Ended(_))) {
            epochs.part(FrameKind::Ended, Vec::new())?;
        }
        if let Some(saved) = self.clock.as_ref().and_then(|clock| clock.save()) {
            epochs.part(FrameKind::Watermark, saved)?;
        }
        self.outlet.flush()?;
        self.outlet.mark(epoch.number)?;
        epochs.done(epoch)?;
        Ok(Some(Made::Paused))
    }

    /// Passes over what the run before had read, in the same order.
    fn go_on(&mut self, start: SourceStart) -> Result<Option<Made>, Stopped> {
        let given = match start {
            SourceStart::Ended(given) => {
                self.given = given;
                return self.ended().map(Some);
            }
            SourceStart::Behind(given) => given,
        };
        self.given = given.clone();
        let mut source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = match &given.position {
            Some(position) => source.seek(position, given.records).map_err(NotPassed::Error),
            None => pass_over(&mut **source, &given, &self.policy.control),
        };
        match passed {
            Ok(()) => Ok(None),
            Err(NotPassed::Stopped) => Err(Stopped),
            Err(NotPassed::Error(error)) => {
                drop(source);
                Err(self.policy.connector_failed(&error))
            }
        }
    }

    /// Whether there is an epoch to pause for.
    pub(super) fn epoch_is_due(&self) -> bool {
        self.epochs.as_ref().is_some_and(|epochs| epochs.due().is_some())
    }

    /// Whether the source pauses.
    pub(super) fn is_paused(&self) -> bool {
        self.epochs.as_ref().is_some_and(EpochLane::is_paused)
    }

    /// Handles records that do not have the fields of the source's schema.
    fn pass_over(&mut self, unread: &Unread) -> Result<(), Stopped> {
        self.policy.counters.records_in.add(unread.reasons.len() as u64);
        for (row, reason) in unread.reasons.iter().enumerate() {
            let Some(record) = unread.records.record(row) else { continue };
            if self.policy.on_error == OnError::Fail {
                self.outlet.flush()?;
            }
            self.policy.failed(record, &Failure::new(FailureCode::BadRecord, reason.as_str()), 1)?;
        }
        Ok(())
    }

    /// Returns `true` if the source may block its thread.
    pub(super) fn waits(&self) -> bool {
        self.source.lock().unwrap_or_else(PoisonError::into_inner).waits()
    }
}

/// Why a source could not pass over what an earlier run had read.
enum NotPassed {
    Error(ConnectorError),
    Stopped,
}

/// Reads and drops the records of an earlier run. The next record is the same as then.
fn pass_over(source: &mut dyn Source, given: &Given, control: &Control) -> Result<(), NotPassed> {
    if given.unreadable == 0 && source.skip(given.records) {
        return Ok(());
    }
    let (mut passed, mut batch) = (Given::default(), Batch::new());
    while passed != *given {
        if control.is_stopped() {
            return Err(NotPassed::Stopped);
        }
        batch.clear();
        let left = usize::try_from(given.records - passed.records).unwrap_or(usize::MAX);
        let filled = source.fill(&mut batch, left.clamp(1, BATCH_RECORDS), BATCH_BYTES);
        passed.records += batch.len() as u64;
        let is_end = match filled {
            Ok(Filled::End) => true,
            Ok(Filled::More | Filled::Idle(_)) => false,
            Err(error) if error.unreadable.is_none() => return Err(NotPassed::Error(error)),
            Err(_) => {
                passed.unreadable += 1;
                false
            }
        };
        if passed.records > given.records || passed.unreadable > given.unreadable || (is_end && passed != *given) {
            let what = "the input is not that of the run before: it ends earlier, or has other records".to_owned();
            let hint = "restore the input as it was, or start anew: --from none";
            return Err(NotPassed::Error(ConnectorError::new(what).hint(hint)));
        }
    }
    Ok(())
}

/// The same error, with a hint that tells how the source can continue after it.
fn with_way_on(error: ConnectorError) -> ConnectorError {
    const WAY_ON: &str = "on_error = \"skip\" or { dead_letter = \"…\" } of the source lets it go on";
    let hint = error.hint.as_deref().map_or_else(|| WAY_ON.to_owned(), |hint| format!("{hint}; {WAY_ON}"));
    error.hint(hint)
}
