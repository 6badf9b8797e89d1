use std::sync::Arc;
use std::time::Duration;

use super::counted_sink::CountedSink;
use super::epochs::EpochLane;
use super::field_lines::FieldLines;
use super::field_text::FieldText;
use super::lane_clock::LaneClock;
use super::lane_time::LaneTime;
use super::on_error_policy::OnErrorPolicy;
use super::stopped::Stopped;
use crate::connector::ConnectorError;
use sage_batch::{Batch, BatchPool, Inbox, Popped};
use sage_observe::Latency;
use sage_store::{FrameKind, fault_point};
use sage_time::Watermark;

/// The single lane of a built-in or embedder's sink: writes the batches that arrive. The lane returns the sink
/// at the end, so that the sink can be told the result of the run.
pub(super) struct SinkLane {
    pub(super) sink: CountedSink,
    pub(super) inbox: Arc<Inbox>,
    pub(super) policy: OnErrorPolicy,
    pub(super) pool: Arc<BatchPool>,
    pub(super) latency: Arc<Latency>,
    pub(super) form: SinkText,
    /// How far event time is.
    pub(super) time: LaneTime,
    /// The epochs of the run, if it has any.
    pub(super) epochs: Option<EpochLane>,
}

/// The text of the records that a sink writes.
pub(super) enum SinkText {
    /// The records as they are.
    Whole(FieldText),
    /// Chosen fields.
    Fields(Box<FieldLines>),
}

impl SinkLane {
    pub(super) fn run(mut self) -> CountedSink {
        let mut clock = LaneClock::new(Arc::clone(&self.policy.counters));
        // On a stop, the control already has the cause.
        let _ = self.work(&mut clock);
        self.sink
    }

    fn work(&mut self, clock: &mut LaneClock) -> Result<(), Stopped> {
        loop {
            let seen = self.epochs.as_ref().map_or(0, EpochLane::seen);
            let popped = match self.inbox.pop(Some(Duration::ZERO), seen) {
                Popped::Empty => {
                    self.flush()?;
                    clock.read();
                    self.inbox.pop(self.sink.due(), seen)
                }
                popped => popped,
            };
            match popped {
                Popped::Batch(batch, _) => {
                    self.write(batch)?;
                    clock.batch();
                }
                Popped::Watermark(watermark, _) => self.reached(watermark),
                Popped::Empty => {}
                Popped::Mark(epoch) => self.cross(epoch)?,
                Popped::End => return self.end(),
                Popped::Cut => return Err(Stopped),
            }
        }
    }

    /// In a chain: writes a batch, if one is available.
    pub(super) fn turn(&mut self) -> Result<bool, Stopped> {
        let seen = self.epochs.as_ref().map_or(0, EpochLane::seen);
        match self.inbox.pop(Some(Duration::ZERO), seen) {
            Popped::Batch(batch, _) => self.write(batch).map(|()| true),
            Popped::Mark(epoch) => self.cross(epoch).map(|()| true),
            Popped::Watermark(watermark, _) => {
                self.reached(watermark);
                Ok(true)
            }
            Popped::Empty => Ok(false),
            Popped::End => self.end().map(|()| false),
            Popped::Cut => Err(Stopped),
        }
    }

    /// Makes everything of the epoch durable.
    fn cross(&mut self, epoch: u64) -> Result<(), Stopped> {
        let Some(epochs) = &mut self.epochs else { return self.flush() };
        let begun = epochs.begun(epoch);
        let closed = if begun.closes { self.sink.close() } else { Ok(()) };
        let prepared = |saved| {
            let fault = |cause| ConnectorError::caused("the output cannot be prepared", cause);
            fault_point("sink.prepared").map_err(fault).map(|()| saved)
        };
        let saved = closed.and_then(|()| self.sink.save(epoch)).and_then(prepared);
        epochs.part(FrameKind::Sink, saved.map_err(|error| self.policy.connector_failed(&error))?)?;
        if let Some(saved) = self.time.save() {
            epochs.part(FrameKind::Watermark, saved)?;
        }
        epochs.done(begun)
    }

    fn end(&mut self) -> Result<(), Stopped> {
        let Some(epochs) = &mut self.epochs else { return self.flush() };
        // The next epoch is the first that has this end.
        let epoch = epochs.seen() + 1;
        let saved = self.sink.close().and_then(|()| self.sink.save(epoch));
        let saved = saved.map_err(|error| self.policy.connector_failed(&error))?;
        epochs.end(vec![(FrameKind::Sink, saved)]);
        Ok(())
    }

    fn reached(&mut self, watermark: Watermark) {
        self.time.is_due(watermark);
        self.time.take_due();
    }

    fn write(&mut self, batch: Batch) -> Result<(), Stopped> {
        let watermark = batch.watermark();
        let (batch, unread) = match &mut self.form {
            SinkText::Whole(text) => {
                let (batch, unread) = text.write(batch, &self.pool);
                (batch, [unread, None])
            }
            SinkText::Fields(lines) => lines.write(batch, &self.pool),
        };
        for unread in unread.into_iter().flatten() {
            self.policy.counters.records_in.add(unread.reasons.len() as u64);
            for (row, reason) in unread.reasons.iter().enumerate() {
                let Some(record) = unread.records.record(row) else { continue };
                self.policy.unwritten(record, reason)?;
            }
        }
        self.sink.write(&batch).map_err(|error| self.policy.connector_failed(&error))?;
        let rows = batch.len() as u64;
        self.latency.record(self.policy.control.now().saturating_sub(batch.ingested()), rows);
        self.pool.put(batch);
        self.reached(watermark);
        Ok(())
    }

    /// Flushes the sink, because no batch is available for now.
    pub(super) fn flush(&mut self) -> Result<(), Stopped> {
        self.sink.flush().map_err(|error| self.policy.connector_failed(&error))
    }
}
