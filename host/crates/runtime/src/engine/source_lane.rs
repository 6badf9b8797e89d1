use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::control::Stopped;
use super::field_reader::{FieldReader, Unread};
use super::lane_clock::LaneClock;
use super::on_error_policy::OnErrorPolicy;
use super::outlet::{BATCH_RECORDS, Outlet};
use crate::connector::{ConnectorError, Filled, Source};
use sage_plan::OnError;
use sage_sandbox::{Failure, FailureCode};

/// A built-in or embedder's source, shared with the progress display.
pub(super) type SharedSource = Arc<Mutex<Box<dyn Source>>>;

/// The single lane of a built-in source: fills batches and sends them.
pub(super) struct SourceLane {
    pub(super) source: SharedSource,
    pub(super) outlet: Outlet,
    pub(super) policy: OnErrorPolicy,
    /// Reads the fields that stages downstream read.
    pub(super) fields: Option<FieldReader>,
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
                Made::Idle(time) => {
                    self.outlet.flush()?;
                    clock.read();
                    // The progress display reads the source meanwhile, so its lock is not held here.
                    let awaited = self.source.lock().unwrap_or_else(PoisonError::into_inner).awaited();
                    match awaited {
                        Some(file) => control.sources_end().sleep_at(&file),
                        None => control.rest(time),
                    }
                }
                Made::End(end) => return Ok(end),
            }
        }
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
        let mut batch = self.outlet.next_batch();
        let batch_bytes = self.batch_bytes();
        let mut source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        let filled = source.fill(&mut batch, BATCH_RECORDS, batch_bytes);
        batch.set_ingested(control.now());
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
        self.outlet.send(batch)?;
        if let Some(unread) = unread {
            self.pass_over(&unread)?;
        }
        match filled {
            Ok(Filled::More) => Ok(Made::More),
            Ok(Filled::Idle(time)) => Ok(Made::Idle(time)),
            Ok(Filled::End) => {
                self.outlet.flush()?;
                self.policy.counters.exhausted.set(1);
                Ok(Made::End(SourceEnd::Exhausted))
            }
            Err(error) => match &error.unreadable {
                Some(unreadable) if self.policy.passes_over(unreadable) => {
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

/// The same error, with a hint that tells how the source can continue after it.
fn with_way_on(error: ConnectorError) -> ConnectorError {
    const WAY_ON: &str = "on_error = \"skip\" or { dead_letter = \"…\" } of the source lets it go on";
    let hint = error.hint.as_deref().map_or_else(|| WAY_ON.to_owned(), |hint| format!("{hint}; {WAY_ON}"));
    error.hint(hint)
}
