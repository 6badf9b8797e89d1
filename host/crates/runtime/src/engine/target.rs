use std::sync::Arc;
use std::time::{Duration, Instant};

use super::batch_time::MOMENT;
use super::follows::Follows;
use super::stopped::Stopped;
use sage_batch::{Batch, BatchPool, Inbox, Producer, Refused};
use sage_observe::InstanceCounters;
use sage_time::Watermark;

/// Target size of a batch. Larger batches leave the cache and copy at a fifth of the speed. Smaller batches
/// cause too many wake-ups.
pub(super) const BATCH_BYTES: usize = 64 << 10;
/// Maximum records of a batch.
pub(super) const BATCH_RECORDS: usize = 4096;
/// Most rows that are added to a batch before its size is looked at.
const ROWS_AT_A_TIME: usize = 64;
/// Longest time for which a receiver is not told of a watermark that has risen, if no batch goes to it.
const SILENCE: Duration = Duration::from_millis(100);

/// A receiver of a route: an inbox, from the view of one sending lane.
pub(super) struct Target {
    pub(super) inbox: Arc<Inbox>,
    producer: Producer,
    /// The edge's position among the inputs of the receiver.
    edge: u32,
    consumer: Arc<InstanceCounters>,
    /// Records that wait until a batch is large enough to send.
    pub(super) gathered: Batch,
    /// Maximum weight of a batch that the inbox's credit admits.
    pub(super) heaviest: usize,
    /// Time of the last push.
    pushed: Option<Instant>,
    /// Batches were pushed without waking the receiver.
    pub(super) quiet: bool,
    pub(super) follows: Follows,
    /// The watermark that the receiver knows, and when it was last told one without a batch.
    told: Watermark,
    marked: Option<Instant>,
    /// The buffer of a batch that the receiver no longer needs, still in this CPU's cache.
    pub(super) spare: Vec<u8>,
}

/// An inbox to which a lane may send.
#[derive(Clone)]
pub(super) struct Destination {
    pub(super) inbox: Arc<Inbox>,
    pub(super) consumer: Arc<InstanceCounters>,
    pub(super) credit: usize,
}

/// What a batch is sent with.
#[derive(Clone, Copy)]
pub(super) struct Sending<'a> {
    pub(super) pool: &'a BatchPool,
    /// How far event time is behind everything that was given to the receiver before.
    pub(super) watermark: Watermark,
}

impl Target {
    /// The inbox as a receiver of input number `edge`. The sender joins it.
    pub(super) fn new(to: &Destination, edge: u32) -> Self {
        Self {
            inbox: Arc::clone(&to.inbox),
            producer: to.inbox.join(),
            edge,
            consumer: Arc::clone(&to.consumer),
            gathered: Batch::new(),
            heaviest: to.credit,
            pushed: None,
            quiet: false,
            follows: Follows::default(),
            told: Watermark::NONE,
            marked: None,
            spare: Vec::new(),
        }
    }

    /// The sender's part in the event time of the receiver.
    pub(super) fn producer(&self) -> Producer {
        self.producer
    }

    /// Becomes a part of another producer, whose watermark holds for both.
    pub(super) fn join_as(&mut self, producer: Producer) {
        self.inbox.join_as(producer);
        self.inbox.leave(self.producer);
        self.producer = producer;
    }

    /// Leaves the inbox.
    pub(super) fn leave(&self) {
        self.inbox.leave(self.producer);
    }

    /// Tells the receiver of the watermark, if it does not know it and has heard nothing for a while. Returns the time
    /// until then if it is not over.
    pub(super) fn tell_in_silence(&mut self, sending: Sending<'_>, now: Instant) -> Result<Option<Duration>, Stopped> {
        if self.told == sending.watermark {
            return Ok(None);
        }
        let heard = self.pushed.max(self.marked);
        let left = heard.and_then(|heard| SILENCE.checked_sub(now.saturating_duration_since(heard)));
        match left.filter(|left| !left.is_zero()) {
            Some(left) => Ok(Some(left)),
            None => self.tell(sending).map(|()| None),
        }
    }

    /// Tells the receiver of the watermark, if it does not know it, behind the gathered records.
    pub(super) fn tell(&mut self, sending: Sending<'_>) -> Result<(), Stopped> {
        self.flush(sending)?;
        if self.told != sending.watermark {
            self.inbox.advance(self.producer, sending.watermark);
            self.told = sending.watermark;
            self.marked = Some(Instant::now());
        }
        Ok(())
    }

    /// Sends a batch, or gathers it if it is small.
    pub(super) fn gather(&mut self, batch: Batch, sending: Sending<'_>) -> Result<(), Stopped> {
        let worth_sending = batch.weight() * 2 >= BATCH_BYTES || batch.len() * 2 >= BATCH_RECORDS;
        if self.gathered.is_empty() && worth_sending {
            return self.push(batch, sending);
        }
        self.append(&batch, 0, batch.len(), sending)?;
        sending.pool.put(batch);
        Ok(())
    }

    pub(super) fn append_rows(&mut self, batch: &Batch, rows: &[u32], sending: Sending<'_>) -> Result<(), Stopped> {
        let mut sent = Ok(());
        for rows in rows.chunks(ROWS_AT_A_TIME) {
            if sent.is_err() {
                self.lose(rows.len());
                continue;
            }
            if !self.gathered.append_rows(batch, rows) {
                sent = self.flush(sending);
                // An empty batch takes any shape.
                let _ = self.gathered.append_rows(batch, rows);
            }
            sent = sent.and_then(|()| self.flush_if_full(sending));
        }
        sent
    }

    fn append(&mut self, batch: &Batch, start: usize, end: usize, sending: Sending<'_>) -> Result<(), Stopped> {
        if !self.gathered.append_range(batch, start, end) {
            self.flush(sending)?;
            // An empty batch takes any shape.
            let _ = self.gathered.append_range(batch, start, end);
        }
        self.flush_if_full(sending)
    }

    fn flush_if_full(&mut self, sending: Sending<'_>) -> Result<(), Stopped> {
        let full = self.gathered.content_bytes() >= BATCH_BYTES || self.gathered.len() >= BATCH_RECORDS;
        if full { self.flush(sending) } else { Ok(()) }
    }

    pub(super) fn flush(&mut self, sending: Sending<'_>) -> Result<(), Stopped> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        let batch = std::mem::replace(&mut self.gathered, sending.pool.take());
        self.push(batch, sending)
    }

    /// Pushes a batch into the inbox, in pieces if the whole is heavier than the inbox's credit.
    fn push(&mut self, mut batch: Batch, sending: Sending<'_>) -> Result<(), Stopped> {
        batch.set_edge(self.edge);
        if batch.weight() > self.heaviest && batch.len() > 1 {
            let middle = batch.len() / 2;
            // Event time is behind both halves.
            let first = Sending { watermark: self.told, ..sending };
            for (start, end, sending) in [(0, middle, first), (middle, batch.len(), sending)] {
                let mut half = sending.pool.take();
                let _ = half.append_range(&batch, start, end);
                self.push(half, sending)?;
            }
            sending.pool.put(batch);
            return Ok(());
        }
        // Batches in quick succession share one wake-up.
        let now = Instant::now();
        let recent = self.pushed.is_some_and(|before| now - before < MOMENT);
        self.pushed = Some(now);
        let follows = std::mem::take(&mut self.follows);
        self.quiet = match follows {
            Follows::Unknown | Follows::Run => recent,
            Follows::Last => false,
            Follows::Answers => true,
        };
        self.told = sending.watermark.active();
        batch.set_watermark(self.told);
        self.inbox.put(self.producer, batch, self.quiet, &mut self.spare).map_err(|Refused(batch)| {
            self.lose(batch.len());
            Stopped
        })?;
        if follows == Follows::Run && !self.quiet {
            self.inbox.expect_more();
        }
        Ok(())
    }

    /// Counts records that the receiver did not get because the pipeline stopped.
    pub(super) fn lose(&self, records: usize) {
        self.consumer.records_in.add(records as u64);
        self.consumer.unfinished.add(records as u64);
    }
}
