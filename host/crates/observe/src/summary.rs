use std::collections::BTreeMap;

use serde::Serialize;

use super::{InferenceSummary, KernelSummary, LostLimit, Outcome, Registry, RunFailure, StageView};

/// What a run came to, as `--output json` prints it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// The pipeline's name.
    pub pipeline: String,
    /// Which run of it.
    pub run: String,
    /// `completed`, `drained`, `interrupted` or `failed`.
    pub outcome: &'static str,
    /// Why it failed, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<RunFailure>,
    /// Lanes and outputs that the end did not wait for any longer; what they did since is not counted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unended: Vec<String>,
    /// From the start of the run to its end.
    pub elapsed_seconds: f64,
    /// Whether every stage's records add up.
    pub balanced: bool,
    /// Limits that ceased to hold as hard as the ledger said, in the order in which that was noticed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub limits_lost: Vec<LostLimit>,
    /// Sources, operators, sinks, upstream before downstream.
    pub stages: Vec<StageSummary>,
}

/// What one stage came to, all instances together.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StageSummary {
    /// Its name.
    pub name: String,
    /// `source`, `map`, …, `sink`.
    pub kind: &'static str,
    /// How many instances.
    pub instances: usize,
    /// Records taken in; for a source, those that it could not read.
    pub records_in: u64,
    /// Records sent out.
    pub records_out: u64,
    /// Payload bytes taken in.
    pub bytes_in: u64,
    /// Payload bytes sent out.
    pub bytes_out: u64,
    /// Records that the operator took care of.
    pub handled: u64,
    /// Of those, records that a filter left out.
    pub filtered: u64,
    /// Records rejected that went to `rejects` or were skipped.
    pub rejected: u64,
    /// Records written to the dead-letter file.
    pub dead_lettered: u64,
    /// Records that failed and were skipped, or stopped the pipeline.
    pub failed: u64,
    /// Records that the stopping pipeline left undone.
    pub unfinished: u64,
    /// Whether the five before add up to `records_in`. Anything else is a fault of the host.
    pub balanced: bool,
    /// The same as a line; for a source only where there was something that it could not read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub equation: Option<String>,
    /// For a source: whether it was stopped before it had no more, so that what was written is a part of what it would have given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped_early: Option<bool>,
    /// For a process: lanes whose last word, `end`, failed and is missing from the output.
    #[serde(skip_serializing_if = "is_zero")]
    pub ends_failed: u64,
    /// Records emitted on a side output that nobody reads.
    pub unread: u64,
    /// Files that a source could not read, or not to their end.
    pub bad_files: u64,
    /// Calls that were tried again.
    pub retried: u64,
    /// Guests that were built anew.
    pub restarts: u64,
    /// Worker processes that died and were replaced.
    pub workers_lost: u64,
    /// Seconds that starting a worker process took, from asking for it to a guest that had opened; the mean.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker_start_seconds: Option<f64>,
    /// Errors by code.
    pub errors: BTreeMap<&'static str, u64>,
    /// Calls that broke a limit, by limit; a retry may have mended it.
    pub breaches: BTreeMap<&'static str, u64>,
    /// Records a second, taken in (sent out, for a source).
    pub records_per_second: f64,
    /// CPU seconds of all lanes.
    pub cpu_seconds: f64,
    /// Seconds that CPU shares held lanes back.
    pub throttled_seconds: f64,
    /// The most memory an instance used, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_peak_bytes: Option<u64>,
    /// The memory cap of an instance, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_limit_bytes: Option<u64>,
    /// What the kernel counted, where instances are processes of their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel: Option<KernelSummary>,
    /// What it has had devices do, where it has leases on some.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inference: Option<InferenceSummary>,
    /// Log bytes dropped.
    pub log_bytes_dropped: u64,
    /// Seconds from source to here that half the records stayed within; for sinks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_p50_seconds: Option<f64>,
    /// The same for 99 in 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_p99_seconds: Option<f64>,
    /// The longest that any record took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_longest_seconds: Option<f64>,
}

impl Summary {
    /// Sums up a run that is over.
    #[must_use]
    pub fn of(registry: &Registry, outcome: Outcome) -> Self {
        let elapsed = registry.began.elapsed().as_secs_f64();
        let stages: Vec<_> = registry.stages.iter().map(|stage| StageSummary::of(stage, elapsed)).collect();
        Self {
            pipeline: registry.pipeline.clone(),
            run: registry.run.clone(),
            outcome: outcome.name(),
            error: outcome.failure().cloned(),
            unended: Vec::new(),
            elapsed_seconds: elapsed,
            balanced: stages.iter().all(|stage| stage.balanced),
            limits_lost: registry.limits.lost(),
            stages,
        }
    }

    /// Whether every stage's records add up.
    #[must_use]
    pub fn balanced(&self) -> bool {
        self.balanced
    }

    /// The stage of a name.
    #[must_use]
    pub fn stage(&self, name: &str) -> Option<&StageSummary> {
        self.stages.iter().find(|stage| stage.name == name)
    }
}

impl StageSummary {
    fn of(stage: &StageView, elapsed: f64) -> Self {
        let sum = |read: fn(&super::InstanceCounters) -> u64| -> u64 {
            stage.instances.iter().map(|instance| read(&instance.counters)).fold(0, u64::saturating_add)
        };
        let mut errors = BTreeMap::new();
        for (code, count) in stage.instances.iter().flat_map(|instance| instance.errors.get()) {
            *errors.entry(code).or_default() += count;
        }
        let mut breaches = BTreeMap::new();
        for (limit, count) in stage.instances.iter().flat_map(|instance| instance.errors.breaches()) {
            *breaches.entry(limit).or_default() += count;
        }
        let memory = || stage.instances.iter().filter_map(|instance| instance.memory.as_deref());
        // Lanes that were not waited for may still count. A record is taken in before it has its end, so the ends are read first.
        let [handled, filtered, rejected, dead_lettered, failed, left] = [
            sum(|c| c.handled.get()),
            sum(|c| c.filtered.get()),
            sum(|c| c.rejected.get()),
            sum(|c| c.dead_lettered.get()),
            sum(|c| c.failed.get()),
            sum(|c| c.unfinished.get()),
        ];
        let (records_in, records_out) = (sum(|c| c.records_in.get()), sum(|c| c.records_out.get()));
        let ends = handled + rejected + dead_lettered + failed;
        let unfinished = left.max(records_in.saturating_sub(ends));
        let is_early = |instance: &super::InstanceView| instance.counters.exhausted.get() == 0;
        let moved = if stage.kind == "source" { records_out } else { records_in };
        let percentile = |share| stage.latency.as_ref().and_then(|latency| latency.percentile(share)).map(seconds);
        let mut summary = Self {
            name: stage.name.clone(),
            kind: stage.kind,
            instances: stage.instances.len(),
            records_in,
            records_out,
            bytes_in: sum(|c| c.bytes_in.get()),
            bytes_out: sum(|c| c.bytes_out.get()),
            handled,
            filtered,
            rejected,
            dead_lettered,
            failed,
            unfinished,
            balanced: ends + unfinished == records_in,
            equation: None,
            stopped_early: (stage.kind == "source").then(|| stage.instances.iter().any(is_early)),
            ends_failed: sum(|c| c.ends_failed.get()),
            unread: sum(|c| c.unread.get()),
            bad_files: sum(|c| c.bad_files.get()),
            retried: sum(|c| c.retried.get()),
            restarts: sum(|c| c.restarts.get()),
            workers_lost: sum(|c| c.workers_lost.get()),
            worker_start_seconds: mean(
                seconds(sum(|c| c.worker_start_nanoseconds.get())),
                sum(|c| c.workers_started.get()),
            ),
            errors,
            breaches,
            records_per_second: per_second(moved, elapsed),
            cpu_seconds: seconds(sum(|c| c.cpu_nanoseconds.get())),
            throttled_seconds: seconds(sum(|c| c.throttled_nanoseconds.get())),
            memory_peak_bytes: memory().map(|memory| memory.peak()).max(),
            memory_limit_bytes: memory().map(|memory| memory.cap()).max(),
            kernel: KernelSummary::of(stage),
            inference: InferenceSummary::of(stage),
            log_bytes_dropped: sum(|c| c.log_bytes_dropped.get()),
            latency_p50_seconds: percentile(0.5),
            latency_p99_seconds: percentile(0.99),
            latency_longest_seconds: stage.latency.as_ref().map(|latency| seconds(latency.longest())),
        };
        summary.set_equation();
        summary
    }

    /// `27004 in = 26483 handled + 521 rejected + 0 dead-lettered + 0 failed`, and what was left undone if anything was.
    pub(super) fn set_equation(&mut self) {
        if self.is_source() {
            let Self { records_in, records_out, dead_lettered, failed, .. } = self;
            self.equation = (*records_in > 0).then(|| {
                let read = *records_in + *records_out;
                format!("{read} read = {records_out} sent + {dead_lettered} dead-lettered + {failed} failed")
            });
            return;
        }
        let Self { records_in, handled, rejected, dead_lettered, failed, unfinished, .. } = self;
        let mut line = format!(
            "{records_in} in = {handled} handled + {rejected} rejected + {dead_lettered} dead-lettered + {failed} failed"
        );
        if *unfinished > 0 {
            line.push_str(&format!(" + {unfinished} unfinished"));
        }
        self.equation = Some(line);
    }

    /// Whether it only makes records.
    pub(super) fn is_source(&self) -> bool {
        self.kind == "source"
    }

    /// Whether it only takes records.
    pub(super) fn is_sink(&self) -> bool {
        self.kind == "sink"
    }

    /// Whether it does both.
    pub(super) fn is_operator(&self) -> bool {
        !self.is_source() && !self.is_sink()
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

#[expect(clippy::cast_precision_loss, reason = "for people, who read three digits")]
pub(super) fn seconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e9
}

#[expect(clippy::cast_precision_loss, reason = "for people, who read three digits")]
fn mean(sum: f64, count: u64) -> Option<f64> {
    (count > 0).then(|| sum / count as f64)
}

#[expect(clippy::cast_precision_loss, reason = "for people, who read three digits")]
fn per_second(records: u64, elapsed: f64) -> f64 {
    if elapsed > 0.0 { records as f64 / elapsed } else { 0.0 }
}
