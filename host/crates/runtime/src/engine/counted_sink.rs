use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::control::Control;
use crate::connector::{ConnectorError, Sink, SinkOutcome};
use sage_batch::Batch;
use sage_observe::InstanceCounters;

/// A sink whose records count as handled only when they are written. A full disk may show long after a batch
/// was taken.
pub(super) struct CountedSink {
    sink: Box<dyn Sink>,
    counters: Arc<InstanceCounters>,
    control: Arc<Control>,
    /// Start time of the current write: see [`Control::output`].
    since: Arc<AtomicU64>,
    /// Records of batches that the sink took without an error.
    taken: u64,
    /// Records that count as handled.
    counted: u64,
}

impl CountedSink {
    pub(super) fn new(
        sink: Box<dyn Sink>,
        counters: Arc<InstanceCounters>,
        control: &Arc<Control>,
        name: &str,
    ) -> Self {
        Self { sink, counters, control: Arc::clone(control), since: control.output(name), taken: 0, counted: 0 }
    }

    /// See [`Sink::write`].
    pub(super) fn write(&mut self, batch: &Batch) -> Result<(), ConnectorError> {
        let rows = batch.len() as u64;
        self.counters.records_in.add(rows);
        self.counters.bytes_in.add(batch.record_bytes() as u64);
        let outcome = self.timed(|sink| sink.write(batch));
        if outcome.is_ok() {
            self.taken += rows;
        }
        self.count();
        outcome
    }

    /// See [`Sink::flush`].
    pub(super) fn flush(&mut self) -> Result<(), ConnectorError> {
        let outcome = self.timed(|sink| sink.flush());
        self.count();
        outcome
    }

    /// See [`Sink::save`].
    pub(super) fn save(&mut self, epoch: u64) -> Result<Vec<u8>, ConnectorError> {
        let saved = self.timed(|sink| sink.save(epoch));
        self.count();
        saved
    }

    /// See [`Sink::close`].
    pub(super) fn close(&mut self) -> Result<(), ConnectorError> {
        let closed = self.timed(|sink| sink.close());
        self.count();
        closed
    }

    /// See [`Sink::due`].
    pub(super) fn due(&self) -> Option<Duration> {
        self.sink.due()
    }

    /// See [`Sink::finish`].
    pub(super) fn finish(&mut self, outcome: SinkOutcome) -> Result<(), ConnectorError> {
        let finished = self.timed(|sink| sink.finish(outcome));
        self.count();
        finished
    }

    /// Stores the start time of an action of the sink until the action ends.
    fn timed<T>(&mut self, act: impl FnOnce(&mut dyn Sink) -> T) -> T {
        self.since.store(self.control.now().max(1), Ordering::Relaxed);
        let outcome = act(&mut *self.sink);
        self.since.store(0, Ordering::Relaxed);
        outcome
    }

    fn count(&mut self) {
        let written = self.sink.written().unwrap_or(self.taken);
        if written >= self.counted {
            self.counters.handled.add(written - self.counted);
        } else {
            self.counters.handled.take_back(self.counted - written);
        }
        self.counted = written;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sage_batch::{Origin, Record};

    /// Writes its records on a flush, as far as there is room. It can also lose all of them at the end.
    struct Buffered {
        waiting: u64,
        written: u64,
        room: u64,
        loses: bool,
    }

    impl Sink for Buffered {
        fn write(&mut self, batch: &Batch) -> Result<(), ConnectorError> {
            self.waiting += batch.len() as u64;
            Ok(())
        }

        fn flush(&mut self) -> Result<(), ConnectorError> {
            let fits = self.waiting.min(self.room - self.written);
            self.written += fits;
            let outcome = if fits == self.waiting { Ok(()) } else { Err(ConnectorError::new("full")) };
            self.waiting = 0;
            outcome
        }

        fn written(&self) -> Option<u64> {
            Some(self.written)
        }

        fn finish(&mut self, _: SinkOutcome) -> Result<(), ConnectorError> {
            let outcome = self.flush();
            if self.loses {
                self.written = 0;
            }
            outcome
        }
    }

    fn batch(records: usize) -> Batch {
        let mut batch = Batch::new();
        for _ in 0..records {
            assert!(batch.push(Record::of(b"x", Origin::NONE)));
        }
        batch
    }

    #[test]
    fn what_was_taken_and_not_written_is_no_record_handled() {
        for (room, loses, flushed, handled) in
            [(10, false, true, 10), (7, false, false, 7), (0, false, false, 0), (10, true, true, 0)]
        {
            let counters = Arc::new(InstanceCounters::default());
            let sink = Buffered { waiting: 0, written: 0, room, loses };
            let control = Arc::new(Control::new());
            let mut sink = CountedSink::new(Box::new(sink), Arc::clone(&counters), &control, "out");
            sink.write(&batch(6)).unwrap();
            sink.write(&batch(4)).unwrap();
            assert_eq!((counters.records_in.get(), counters.handled.get()), (10, 0));
            assert_eq!(sink.flush().is_ok(), flushed);
            let _ = sink.finish(SinkOutcome::Partial);
            counters.settle();
            assert_eq!((counters.handled.get(), counters.unfinished.get()), (handled, 10 - handled));
        }
    }
}
