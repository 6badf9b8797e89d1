use std::sync::{Arc, Mutex, PoisonError};

use super::control::Stopped;
use super::fate::Fate;
use super::lane_clock::LaneClock;
use super::outlet::{BATCH_BYTES, BATCH_RECORDS, Outlet};
use crate::connector::{Filled, Source};

/// A built-in source (or an embedder's), shared with whoever shows its progress.
pub(super) type SharedSource = Arc<Mutex<Box<dyn Source>>>;

/// The one lane of a built-in source: fills batches and sends them.
pub(super) struct SourceLane {
    pub(super) source: SharedSource,
    pub(super) outlet: Outlet,
    pub(super) fate: Fate,
}

/// How a source came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SourceEnd {
    /// It had no more.
    Exhausted,
    /// A drain stopped it, or the run was cut.
    StoppedEarly,
}

impl SourceLane {
    pub(super) fn run(mut self) -> SourceEnd {
        let mut clock = LaneClock::new(Arc::clone(&self.fate.counters));
        // Stopped: the cause is with the control already.
        self.work(&mut clock).unwrap_or(SourceEnd::StoppedEarly)
    }

    fn work(&mut self, clock: &mut LaneClock) -> Result<SourceEnd, Stopped> {
        let control = Arc::clone(&self.fate.control);
        control.wait_for_go()?;
        while !control.is_draining() {
            if control.is_stopped() {
                return Err(Stopped);
            }
            let mut batch = self.outlet.next_batch();
            let filled = {
                let mut source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
                source.fill(&mut batch, BATCH_RECORDS, BATCH_BYTES)
            };
            let counters = &self.fate.counters;
            counters.records_out.add(batch.len() as u64);
            counters.bytes_out.add(batch.payloads().byte_len() as u64);
            batch.set_ingested(control.now());
            self.outlet.send(batch)?;
            clock.batch();
            match filled {
                Ok(Filled::More) => {}
                Ok(Filled::Idle(time)) => {
                    self.outlet.flush()?;
                    clock.read();
                    control.rest(time);
                }
                Ok(Filled::End) => {
                    self.outlet.flush()?;
                    return Ok(SourceEnd::Exhausted);
                }
                Err(error) => {
                    self.outlet.flush()?;
                    return Err(self.fate.connector_failed(&error));
                }
            }
        }
        self.outlet.flush()?;
        Ok(SourceEnd::StoppedEarly)
    }
}
