use std::sync::atomic::{AtomicU64, Ordering};

/// A number that grows. Its operations are relaxed: readers want a recent value and no ordering.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`.
    #[inline]
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// Subtracts `n`: corrects the counter at the end of a run.
    pub fn take_back(&self, n: u64) {
        self.0.fetch_sub(n, Ordering::Relaxed);
    }

    /// The sum so far.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that is set, or raised to a peak.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// Sets the value.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// Raises the value to `value` if that is higher.
    pub fn raise(&self, value: u64) {
        self.0.fetch_max(value, Ordering::Relaxed);
    }

    /// The current value.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The work of one instance. A source takes in only the records that it cannot read. Each record that was taken
/// in ends as one of `handled`, `rejected`, `dead_lettered`, `failed` or `unfinished` (the pipeline stopped
/// first). These five always add up to `records_in`.
#[derive(Debug, Default)]
pub struct InstanceCounters {
    /// Records taken in (for a source: those that it could not read).
    pub records_in: Counter,
    /// Payload bytes taken in.
    pub bytes_in: Counter,
    /// Records sent out, on all ports but `rejects`.
    pub records_out: Counter,
    /// Payload bytes sent out.
    pub bytes_out: Counter,
    /// Records that the operator handled.
    pub handled: Counter,
    /// Number of the handled records that a filter left out.
    pub filtered: Counter,
    /// Number of the handled records that came too late for their windows.
    pub late: Counter,
    /// window: windows that could not be finished and were given up.
    pub windows_failed: Counter,
    /// Records that the operator rejected and that went to `rejects` or were skipped.
    pub rejected: Counter,
    /// Records written to the dead-letter file.
    pub dead_lettered: Counter,
    /// Records that failed and were skipped, or stopped the pipeline.
    pub failed: Counter,
    /// Records that were left unprocessed when the pipeline stopped.
    pub unfinished: Counter,
    /// Records emitted on a side output without a reader.
    pub unread: Counter,
    /// source: records whose event time is too far ahead of the clock to move the watermark.
    pub records_ahead: Counter,
    /// Files that a source could not read, or could not read to their end.
    pub bad_files: Counter,
    /// Calls that were tried again.
    pub retried: Counter,
    /// Copies of the component that were discarded and rebuilt.
    pub restarts: Counter,
    /// Worker processes of the instance that died and were replaced.
    pub workers_lost: Counter,
    /// Worker processes of the instance that were started.
    pub workers_started: Counter,
    /// Nanoseconds to start these processes, each from the request until a guest has opened.
    pub worker_start_nanoseconds: Counter,
    /// CPU nanoseconds of the instance's lanes.
    pub cpu_nanoseconds: Counter,
    /// Nanoseconds for which a CPU share held the lanes back.
    pub throttled_nanoseconds: Counter,
    /// Current guest memory in bytes.
    pub memory_bytes: Gauge,
    /// Peak of guest memory so far, in bytes.
    pub memory_peak_bytes: Gauge,
    /// Log bytes that were dropped.
    pub log_bytes_dropped: Counter,
    /// process: number of lanes in which `end` failed and was abandoned.
    pub ends_failed: Counter,
    /// source: 1 after the source has reported that it has no more records.
    pub exhausted: Gauge,
}

impl InstanceCounters {
    /// Number of records that have ended in one of the five ways.
    #[must_use]
    pub fn accounted(&self) -> u64 {
        let ends = [&self.handled, &self.rejected, &self.dead_lettered, &self.failed, &self.unfinished];
        ends.iter().map(|end| end.get()).sum()
    }

    /// Ends the count at the end of the run: records that were taken in and have not ended count as unfinished.
    pub fn settle(&self) {
        self.unfinished.add(self.records_in.get().saturating_sub(self.accounted()));
    }
}
