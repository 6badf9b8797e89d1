use std::sync::atomic::{AtomicU64, Ordering};

/// A number that grows. Relaxed: readers want a recent value, not an order.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds.
    #[inline]
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// Takes off again what turned out not to be so, when a run is over.
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
    /// Sets it.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// Raises it to `value` if that is more.
    pub fn raise(&self, value: u64) {
        self.0.fetch_max(value, Ordering::Relaxed);
    }

    /// The value.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What one instance has done. A source takes nothing in but what it cannot read. The records that came in end as one of `handled`, `rejected`, `dead_lettered`, `failed` or
/// `unfinished` (the pipeline stopped first): these five always add up to `records_in`.
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
    /// Records that the operator took care of.
    pub handled: Counter,
    /// Of those handled, records that a filter left out.
    pub filtered: Counter,
    /// Records the operator rejected that went to `rejects` or were skipped.
    pub rejected: Counter,
    /// Records written to the dead-letter file.
    pub dead_lettered: Counter,
    /// Records that failed and were skipped, or stopped the pipeline.
    pub failed: Counter,
    /// Records that the stopping pipeline left undone.
    pub unfinished: Counter,
    /// Records emitted on a side output that nobody reads.
    pub unread: Counter,
    /// Files that a source could not read, or not to their end.
    pub bad_files: Counter,
    /// Calls that were tried again.
    pub retried: Counter,
    /// Copies of the component that were thrown away and built anew.
    pub restarts: Counter,
    /// Worker processes of the instance that died and were replaced.
    pub workers_lost: Counter,
    /// Worker processes of the instance that were started.
    pub workers_started: Counter,
    /// Nanoseconds from asking for them to guests that had opened.
    pub worker_start_nanoseconds: Counter,
    /// CPU nanoseconds of the instance's lanes.
    pub cpu_nanoseconds: Counter,
    /// Nanoseconds that a CPU share held the lanes back.
    pub throttled_nanoseconds: Counter,
    /// Guest memory now, in bytes.
    pub memory_bytes: Gauge,
    /// The most guest memory so far, in bytes.
    pub memory_peak_bytes: Gauge,
    /// Log bytes that were dropped.
    pub log_bytes_dropped: Counter,
    /// process: lanes whose last word, `end`, failed and was given up.
    pub ends_failed: Counter,
    /// source: 1 once it has said that it has no more.
    pub exhausted: Gauge,
}

impl InstanceCounters {
    /// Records whose end is known.
    #[must_use]
    pub fn accounted(&self) -> u64 {
        let ends = [&self.handled, &self.rejected, &self.dead_lettered, &self.failed, &self.unfinished];
        ends.iter().map(|end| end.get()).sum()
    }

    /// The run is over: what came in and has no end was left undone.
    pub fn settle(&self) {
        self.unfinished.add(self.records_in.get().saturating_sub(self.accounted()));
    }
}
