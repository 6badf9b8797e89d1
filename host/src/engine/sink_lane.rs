use std::sync::Arc;
use std::time::Duration;

use super::control::Stopped;
use super::fate::Fate;
use super::lane_clock::LaneClock;
use crate::batch::{BatchPool, Inbox, Popped};
use crate::connector::Sink;
use crate::observe::Latency;

/// The one lane of a built-in sink (or an embedder's): writes what comes. The sink comes back at the end, to be told how
/// the run went.
pub(super) struct SinkLane {
    pub(super) sink: Box<dyn Sink>,
    pub(super) inbox: Arc<Inbox>,
    pub(super) fate: Fate,
    pub(super) pool: Arc<BatchPool>,
    pub(super) latency: Arc<Latency>,
}

impl SinkLane {
    pub(super) fn run(mut self) -> Box<dyn Sink> {
        let mut clock = LaneClock::new(Arc::clone(&self.fate.counters));
        // Stopped: the cause is with the control already.
        let _ = self.work(&mut clock);
        self.sink
    }

    fn work(&mut self, clock: &mut LaneClock) -> Result<(), Stopped> {
        loop {
            let popped = match self.inbox.pop(Some(Duration::ZERO)) {
                Popped::Empty => {
                    self.sink.flush().map_err(|error| self.fate.connector_failed(&error))?;
                    clock.read();
                    self.inbox.pop(None)
                }
                popped => popped,
            };
            match popped {
                Popped::Batch(batch, _) => {
                    let (counters, rows) = (&self.fate.counters, batch.len() as u64);
                    counters.records_in.add(rows);
                    counters.bytes_in.add(batch.payloads().byte_len() as u64);
                    self.sink.write(&batch).map_err(|error| self.fate.connector_failed(&error))?;
                    counters.handled.add(rows);
                    self.latency.record(self.fate.control.now().saturating_sub(batch.ingested()), rows);
                    self.pool.put(batch);
                    clock.batch();
                }
                Popped::Empty => {}
                Popped::End => return self.sink.flush().map_err(|error| self.fate.connector_failed(&error)),
                Popped::Cut => return Err(Stopped),
            }
        }
    }
}
