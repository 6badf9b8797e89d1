use std::collections::BTreeMap;

use serde::Serialize;

use super::seconds::seconds;
use super::{InferenceSummary, KernelSummary, LostLimit, Outcome, Registry, RunFailure, StageView};

/// The result of a run, as `--output json` prints it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// The pipeline's name.
    pub pipeline: String,
    /// Identifier of the run.
    pub run: String,
    /// `completed`, `drained`, `interrupted` or `failed`.
    pub outcome: &'static str,
    /// The failure, if the run failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<RunFailure>,
    /// Lanes and outputs for which the end stopped waiting. Their later work is not counted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unended: Vec<String>,
    /// The epoch of an earlier run from which this run went on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub continued_from: Option<u64>,
    /// The last epoch that the run saved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_epoch: Option<u64>,
    /// Seconds from the start of the run to its end.
    pub elapsed_seconds: f64,
    /// Whether every stage's records add up.
    pub balanced: bool,
    /// Limits that fell below their tier in the enforcement report, in the order in which the losses were
    /// noticed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub limits_lost: Vec<LostLimit>,
    /// Sources, operators and sinks, upstream before downstream.
    pub stages: Vec<StageSummary>,
}

/// The result of one stage, all instances together.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StageSummary {
    /// Name of the stage.
    pub name: String,
    /// `source`, `map`, …, `sink`.
    pub kind: &'static str,
    /// Number of instances.
    pub instances: usize,
    /// Records taken in; for a source, those that it could not read.
    pub records_in: u64,
    /// Records sent out.
    pub records_out: u64,
    /// Payload bytes taken in.
    pub bytes_in: u64,
    /// Payload bytes sent out.
    pub bytes_out: u64,
    /// Records that the operator handled.
    pub handled: u64,
    /// Number of the handled records that a filter left out.
    pub filtered: u64,
    /// For a window: number of the handled records that came too late for their windows. They went to the output `late`
    /// if a stage reads it.
    #[serde(skip_serializing_if = "is_zero")]
    pub late_records: u64,
    /// For a window: windows that could not be finished and were given up.
    #[serde(skip_serializing_if = "is_zero")]
    pub windows_failed: u64,
    /// Rejected records that went to `rejects` or were skipped.
    pub rejected: u64,
    /// Records written to the dead-letter file.
    pub dead_lettered: u64,
    /// Records that failed and were skipped, or stopped the pipeline.
    pub failed: u64,
    /// Records that were left unprocessed when the pipeline stopped.
    pub unfinished: u64,
    /// Whether handled, rejected, dead-lettered, failed and unfinished records add up to `records_in`. If they
    /// do not, the host has a fault.
    pub balanced: bool,
    /// The same sum as a line; for a source only if it could not read some records.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub equation: Option<String>,
    /// For a source: whether it was stopped before it had no more records, so that the output is incomplete.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped_early: Option<bool>,
    /// For a process: number of lanes in which `end` failed, so that its last output is missing.
    #[serde(skip_serializing_if = "is_zero")]
    pub ends_failed: u64,
    /// Records emitted on a side output without a reader.
    pub unread: u64,
    /// Event time that all instances have reached, as RFC 3339 with microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watermark: Option<String>,
    /// For a source: records whose event time is too far ahead of the clock to move the watermark.
    #[serde(skip_serializing_if = "is_zero")]
    pub records_ahead: u64,
    /// Files that a source could not read, or could not read to their end.
    pub bad_files: u64,
    /// Calls that were tried again.
    pub retried: u64,
    /// Guests that were rebuilt.
    pub restarts: u64,
    /// Worker processes that died and were replaced.
    pub workers_lost: u64,
    /// Mean number of seconds to start a worker process, from the request until a guest has opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker_start_seconds: Option<f64>,
    /// Errors by code.
    pub errors: BTreeMap<&'static str, u64>,
    /// Calls that broke a limit, by limit. A retry of such a call may have succeeded.
    pub breaches: BTreeMap<&'static str, u64>,
    /// Records per second that were taken in (sent out, for a source).
    pub records_per_second: f64,
    /// CPU seconds of all lanes.
    pub cpu_seconds: f64,
    /// Seconds for which CPU shares held lanes back.
    pub throttled_seconds: f64,
    /// Most bytes of memory that one instance used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_peak_bytes: Option<u64>,
    /// Memory cap of an instance, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_limit_bytes: Option<u64>,
    /// The kernel's counts, if instances are processes of their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel: Option<KernelSummary>,
    /// The use of devices, if the stage has leases on devices.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inference: Option<InferenceSummary>,
    /// Log bytes dropped.
    pub log_bytes_dropped: u64,
    /// Seconds from source to this sink within which half of the records arrived; only for sinks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_p50_seconds: Option<f64>,
    /// Seconds from source to this sink within which 99 % of the records arrived; only for sinks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_p99_seconds: Option<f64>,
    /// Longest time of a record from source to this sink, in seconds; only for sinks.
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
            continued_from: registry.epochs.as_ref().and_then(|epochs| epochs.continued_from),
            last_epoch: registry.epochs.as_ref().and_then(|epochs| epochs.last()),
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

    /// The stage with this name.
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
        // Lanes for which the end did not wait may still count. A record is counted as taken in before it is
        // counted as handled, rejected and so on. Therefore the latter counts are read first.
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
            late_records: sum(|c| c.late.get()),
            windows_failed: sum(|c| c.windows_failed.get()),
            rejected,
            dead_lettered,
            failed,
            unfinished,
            balanced: ends + unfinished == records_in,
            equation: None,
            stopped_early: (stage.kind == "source").then(|| stage.instances.iter().any(is_early)),
            ends_failed: sum(|c| c.ends_failed.get()),
            unread: sum(|c| c.unread.get()),
            watermark: stage.watermark(),
            records_ahead: sum(|c| c.records_ahead.get()),
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

    /// Sets the sum: `27004 in = 26483 handled + 521 rejected + 0 dead-lettered + 0 failed`, plus the
    /// unfinished records if there are any.
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
            "{records_in} in = {handled} handled + {rejected} rejected + {dead_lettered} dead-lettered \
             + {failed} failed"
        );
        if *unfinished > 0 {
            line.push_str(&format!(" + {unfinished} unfinished"));
        }
        self.equation = Some(line);
    }

    /// Whether the stage only produces records.
    pub(super) fn is_source(&self) -> bool {
        self.kind == "source"
    }

    /// Whether the stage only consumes records.
    pub(super) fn is_sink(&self) -> bool {
        self.kind == "sink"
    }

    /// Whether the stage consumes and produces records.
    pub(super) fn is_operator(&self) -> bool {
        !self.is_source() && !self.is_sink()
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde requires this signature")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

#[expect(clippy::cast_precision_loss, reason = "people read only three digits")]
fn mean(sum: f64, count: u64) -> Option<f64> {
    (count > 0).then(|| sum / count as f64)
}

#[expect(clippy::cast_precision_loss, reason = "people read only three digits")]
fn per_second(records: u64, elapsed: f64) -> f64 {
    if elapsed > 0.0 { records as f64 / elapsed } else { 0.0 }
}
