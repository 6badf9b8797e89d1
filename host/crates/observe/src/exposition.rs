use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry as Families;

use super::epoch_exposition::encode_epochs;
use super::event_time_exposition::encode_event_time;
use super::inference_exposition::encode_inference;
use super::kernel_exposition::encode_kernel;
use super::labels::{Labels, with};
use super::seconds::seconds;
use super::{
    InstanceCounters, InstanceView, Latency, LimitStanding, LimitStandings, Observations, Registry, Series, StageView,
};

/// A run's metrics as OpenMetrics text, which Prometheus reads. All values are read again for each request.
#[derive(Debug)]
pub(super) struct Exposition {
    families: Families,
}

impl Exposition {
    pub(super) fn new(registry: Arc<Registry>) -> Self {
        let of_run = [("pipeline", &registry.pipeline), ("tenant", &registry.tenant)];
        let of_run = of_run.map(|(name, value)| (Cow::Borrowed(name), Cow::Owned(value.clone())));
        let mut families = Families::with_labels(of_run.into_iter());
        families.register_collector(Box::new(RunCollector(registry)));
        Self { families }
    }

    /// Writes the text.
    pub(super) fn write(&self) -> Result<String, fmt::Error> {
        let mut out = String::new();
        text::encode(&mut out, &self.families)?;
        Ok(out)
    }
}

/// A run's metrics as OpenMetrics text, as [`super::MetricsServer`] serves them.
///
/// # Errors
/// A value cannot be written, which would be a bug.
pub fn metrics_text(registry: Arc<Registry>) -> Result<String, fmt::Error> {
    Exposition::new(registry).write()
}

#[derive(Debug)]
struct RunCollector(Arc<Registry>);

type Read<T> = fn(&InstanceCounters) -> T;

/// Name (without `_total`, which is added), help text, value.
const COUNTERS: [(&str, &str, Read<u64>); 19] = [
    ("sage_records_in", "Records taken in", |c| c.records_in.get()),
    ("sage_records_out", "Records sent out", |c| c.records_out.get()),
    ("sage_bytes_in", "Payload bytes taken in", |c| c.bytes_in.get()),
    ("sage_bytes_out", "Payload bytes sent out", |c| c.bytes_out.get()),
    ("sage_handled", "Records handled", |c| c.handled.get()),
    ("sage_filtered", "Records that a filter left out", |c| c.filtered.get()),
    ("sage_late_records", "Records that came too late for their windows", |c| c.late.get()),
    ("sage_windows_failed", "Windows that could not be finished", |c| c.windows_failed.get()),
    ("sage_rejected", "Records rejected", |c| c.rejected.get()),
    ("sage_dead_lettered", "Records written to the dead-letter file", |c| c.dead_lettered.get()),
    ("sage_failed", "Records that failed", |c| c.failed.get()),
    ("sage_unfinished", "Records left unprocessed when the pipeline stopped", |c| c.unfinished.get()),
    ("sage_unread", "Records on side outputs without a reader", |c| c.unread.get()),
    ("sage_records_ahead", "Records whose event time is too far ahead of the clock", |c| c.records_ahead.get()),
    ("sage_bad_files", "Files that a source could not read to their end", |c| c.bad_files.get()),
    ("sage_retried", "Calls that were tried again", |c| c.retried.get()),
    ("sage_restarts", "Guests that were rebuilt", |c| c.restarts.get()),
    ("sage_workers_lost", "Worker processes that died", |c| c.workers_lost.get()),
    ("sage_log_bytes_dropped", "Log bytes dropped", |c| c.log_bytes_dropped.get()),
];

const SECONDS: [(&str, &str, Read<u64>); 2] = [
    ("sage_cpu_seconds", "CPU time of the lanes", |c| c.cpu_nanoseconds.get()),
    ("sage_throttled_seconds", "Time that a CPU share held the lanes back", |c| c.throttled_nanoseconds.get()),
];

/// The limits of a call. Each has a series from the start, so that an alert has a value to compare with.
const LIMITS: [&str; 11] = [
    "memory",
    "worker_memory",
    "pipeline_memory",
    "tenant_memory",
    "host_memory",
    "cpu_time_per_call",
    "call_timeout",
    "output_bytes_per_call",
    "record_bytes",
    "log_bytes_per_second",
    "restarts_in_a_row",
];

impl Collector for RunCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let numbered: Vec<(String, &StageView, &InstanceView)> = self
            .0
            .stages
            .iter()
            .flat_map(|stage| stage.instances.iter().enumerate().map(move |(n, view)| (n.to_string(), stage, view)))
            .collect();
        let instances: Vec<(Labels<'_>, &InstanceView)> = numbered
            .iter()
            .map(|(number, stage, view)| {
                (vec![("operator", stage.name.as_str()), ("operator_instance", number.as_str())], *view)
            })
            .collect();
        let mut family =
            encoder.encode_descriptor("sage_build", "The program that runs here", None, MetricType::Info)?;
        family.encode_info(&[("version", env!("CARGO_PKG_VERSION"))])?;
        for (name, help, read) in COUNTERS {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for (labels, view) in &instances {
                encode_counter(&mut family, labels, read(&view.counters))?;
            }
        }
        for (name, help, read) in SECONDS {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for (labels, view) in &instances {
                let seconds = seconds(read(&view.counters));
                family.encode_family(labels)?.encode_counter::<NoLabelSet, f64, u64>(&seconds, None)?;
            }
        }
        encode_errors(&mut encoder, &instances)?;
        encode_limits(&mut encoder, &self.0.limits)?;
        encode_epochs(&mut encoder, self.0.epochs.as_deref())?;
        encode_event_time(&mut encoder, &instances)?;
        encode_memory(&mut encoder, &instances)?;
        encode_kernel(&mut encoder, &instances)?;
        encode_inference(&mut encoder, &instances, &self.0.devices)?;
        encode_guests(&mut encoder, &instances)?;
        let sinks = || self.0.stages.iter().filter_map(|stage| Some((stage.name.as_str(), stage.latency.as_deref()?)));
        encode_latency(&mut encoder, sinks())?;
        encode_latencies(&mut encoder, sinks())
    }
}

fn encode_errors(encoder: &mut DescriptorEncoder<'_>, instances: &[(Labels<'_>, &InstanceView)]) -> fmt::Result {
    let mut family = encoder.encode_descriptor("sage_errors", "Errors by code", None, MetricType::Counter)?;
    for (labels, view) in instances {
        for (code, n) in view.errors.get() {
            encode_counter(&mut family, &with(labels, "code", code), n)?;
        }
    }
    let mut family =
        encoder.encode_descriptor("sage_breaches", "Calls that broke a limit", None, MetricType::Counter)?;
    for (labels, view) in instances {
        let breaches = view.errors.breaches();
        for limit in LIMITS {
            encode_counter(&mut family, &with(labels, "limit", limit), breaches.get(limit).copied().unwrap_or(0))?;
        }
    }
    Ok(())
}

/// The tier of each limit, and the number of limits that fell below their tier in the enforcement report.
fn encode_limits(encoder: &mut DescriptorEncoder<'_>, limits: &LimitStandings) -> fmt::Result {
    let help = "Tier of a limit: 2 hard, 1 cooperative, 0 none";
    let mut family = encoder.encode_descriptor("sage_limit_tier", help, None, MetricType::Gauge)?;
    for LimitStanding { operator, resource, tier: (_, number) } in limits.standings() {
        let labels = vec![("operator", operator.as_str()), ("resource", resource.as_str())];
        family.encode_family(&labels)?.encode_gauge(&u64::from(number))?;
    }
    let help = "Limits that fell below their tier in the enforcement report";
    let mut family = encoder.encode_descriptor("sage_limits_lost", help, None, MetricType::Counter)?;
    let lost = u64::try_from(limits.lost().len()).unwrap_or(u64::MAX);
    family.encode_counter::<NoLabelSet, u64, u64>(&lost, None)
}

fn encode_memory(encoder: &mut DescriptorEncoder<'_>, instances: &[(Labels<'_>, &InstanceView)]) -> fmt::Result {
    type MemoryRead = fn(&dyn super::MemoryReading) -> u64;
    let families: [(&str, &str, MemoryRead); 3] = [
        ("sage_memory_bytes", "Guest memory in use", |memory| memory.used()),
        ("sage_memory_peak_bytes", "Peak of guest memory in use", |memory| memory.peak()),
        ("sage_memory_limit_bytes", "The cap of guest memory", |memory| memory.cap()),
    ];
    for (name, help, read) in families {
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, view) in instances {
            if let Some(memory) = view.memory.as_deref() {
                family.encode_family(labels)?.encode_gauge(&read(memory))?;
            }
        }
    }
    let mut family = encoder.encode_descriptor(
        "sage_queue_bytes",
        "Bytes of batches waiting for the instance",
        None,
        MetricType::Gauge,
    )?;
    for (labels, view) in instances {
        family.encode_family(labels)?.encode_gauge(&(view.queue_bytes)())?;
    }
    Ok(())
}

fn encode_latency<'a>(
    encoder: &mut DescriptorEncoder<'_>,
    sinks: impl Iterator<Item = (&'a str, &'a Latency)>,
) -> fmt::Result {
    let help = "Time from source to sink within which this share of the records arrived";
    let mut family = encoder.encode_descriptor("sage_latency_seconds", help, None, MetricType::Gauge)?;
    for (name, latency) in sinks {
        for (quantile, share) in [("0.5", 0.5), ("0.99", 0.99), ("1.0", 1.0)] {
            if let Some(nanoseconds) = latency.percentile(share) {
                let labels = vec![("operator", name), ("quantile", quantile)];
                family.encode_family(&labels)?.encode_gauge(&seconds(nanoseconds))?;
            }
        }
    }
    Ok(())
}

/// The same latencies as a histogram, which can be added up over runs and over time.
fn encode_latencies<'a>(
    encoder: &mut DescriptorEncoder<'_>,
    sinks: impl Iterator<Item = (&'a str, &'a Latency)>,
) -> fmt::Result {
    let help = "Time from source to sink, of each record";
    let mut family = encoder.encode_descriptor("sage_record_latency_seconds", help, None, MetricType::Histogram)?;
    for (name, latency) in sinks {
        let counted = latency.within(&LATENCY_BOUNDS);
        let bounds = LATENCY_BOUNDS.into_iter().map(seconds).chain(std::iter::once(f64::INFINITY));
        let buckets: Vec<(f64, u64)> = bounds.zip(counted.buckets).collect();
        let labels = vec![("operator", name)];
        let sum = seconds(counted.sum);
        family.encode_family(&labels)?.encode_histogram::<NoLabelSet>(sum, counted.count, &buckets, None)?;
    }
    Ok(())
}

/// Bucket bounds in nanoseconds: from the time of a batch within one process to that of a slow model.
const LATENCY_BOUNDS: [u64; 18] = [
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
    30_000_000_000,
    60_000_000_000,
];

/// A family of metrics that guests publish: its type, and each instance's series.
struct GuestFamily<'a> {
    kind: MetricType,
    series: Vec<(&'a Labels<'a>, Series)>,
}

/// Encodes the metrics that guests publish, as `sage_guest_NAME`. Two operators may use a name for different
/// types of metrics, or a name may clash with the samples of another (the counter `x` is sampled as `x_total`).
/// The first operator then keeps the name, and the others' series count as dropped.
fn encode_guests(encoder: &mut DescriptorEncoder<'_>, instances: &[(Labels<'_>, &InstanceView)]) -> fmt::Result {
    let mut families: BTreeMap<String, GuestFamily<'_>> = BTreeMap::new();
    let mut samples = HashSet::new();
    let mut clashes = vec![0; instances.len()];
    for ((labels, view), clashes) in instances.iter().zip(&mut clashes) {
        for (name, series) in view.metrics.get() {
            let kind = kind_of(&series);
            // OpenMetrics wants `_total` on the sample and not on the family.
            let name = match kind {
                MetricType::Counter => name.strip_suffix("_total").unwrap_or(&name).to_owned(),
                _ => name,
            };
            if let Some(family) = families.get_mut(&name) {
                let free = kind_name(family.kind) == kind_name(kind)
                    && family.series.last().is_none_or(|(last, _)| !std::ptr::eq(*last, labels));
                if free {
                    family.series.push((labels, series));
                } else {
                    *clashes += 1;
                }
                continue;
            }
            let wanted = sample_names(&name, kind);
            if wanted.iter().any(|sample| samples.contains(sample)) {
                *clashes += 1;
                continue;
            }
            samples.extend(wanted);
            families.insert(name, GuestFamily { kind, series: vec![(labels, series)] });
        }
    }
    for (name, guests) in &families {
        let name = format!("sage_guest_{name}");
        let mut family = encoder.encode_descriptor(&name, "Published by the operator", None, guests.kind)?;
        for (labels, series) in &guests.series {
            match series {
                Series::Counter(sum) => encode_counter(&mut family, labels, *sum)?,
                Series::Gauge(value) => family.encode_family(*labels)?.encode_gauge(value)?,
                Series::Histogram(observations) => encode_histogram(&mut family, labels, observations)?,
            }
        }
    }
    let help = "Updates of guests' own metrics that were dropped: too many names, invalid names, or names in use";
    let mut family = encoder.encode_descriptor("sage_guest_metrics_dropped", help, None, MetricType::Counter)?;
    for ((labels, view), clashes) in instances.iter().zip(clashes) {
        encode_counter(&mut family, labels, view.metrics.dropped().saturating_add(clashes))?;
    }
    Ok(())
}

fn kind_of(series: &Series) -> MetricType {
    match series {
        Series::Counter(_) => MetricType::Counter,
        Series::Gauge(_) => MetricType::Gauge,
        Series::Histogram(_) => MetricType::Histogram,
    }
}

fn kind_name(kind: MetricType) -> &'static str {
    match kind {
        MetricType::Counter => "counter",
        MetricType::Histogram => "histogram",
        _ => "gauge",
    }
}

/// All names that a family uses, for itself and for its samples.
fn sample_names(name: &str, kind: MetricType) -> Vec<String> {
    let suffixes: &[&str] = match kind {
        MetricType::Counter => &["", "_total"],
        MetricType::Histogram => &["", "_sum", "_count", "_bucket"],
        _ => &[""],
    };
    suffixes.iter().map(|suffix| format!("{name}{suffix}")).collect()
}

fn encode_counter(family: &mut MetricEncoder<'_>, labels: &Labels<'_>, value: u64) -> fmt::Result {
    family.encode_family(labels)?.encode_counter::<NoLabelSet, u64, u64>(&value, None)
}

fn encode_histogram(family: &mut MetricEncoder<'_>, labels: &Labels<'_>, observations: &Observations) -> fmt::Result {
    let bounds = Observations::EXPONENTS.map(|exponent| f64::from(exponent).exp2());
    let mut buckets: Vec<(f64, u64)> = bounds.zip(observations.buckets).collect();
    let within: u64 = observations.buckets.iter().sum();
    buckets.push((f64::INFINITY, observations.count.saturating_sub(within)));
    family.encode_family(labels)?.encode_histogram::<NoLabelSet>(observations.sum, observations.count, &buckets, None)
}

#[cfg(test)]
mod tests {
    use super::super::registry::watched;
    use super::*;

    fn lines(registry: &Arc<Registry>) -> Vec<String> {
        Exposition::new(Arc::clone(registry)).write().unwrap().lines().map(str::to_owned).collect()
    }

    fn assert_has(lines: &[String], expected: &[&str]) {
        for line in expected {
            assert!(lines.iter().any(|found| found == line), "{line} is not in\n{}", lines.join("\n"));
        }
    }

    #[test]
    fn every_instance_has_its_series() {
        let registry = watched(&[("flights", "source", 1), ("parse", "map", 2), ("out", "sink", 1)]);
        let parse = &registry.stages[1].instances[1];
        parse.counters.records_in.add(10);
        parse.counters.cpu_nanoseconds.add(1_500_000_000);
        parse.errors.count("memory");
        parse.errors.breach("memory");
        parse.errors.count("trap");
        if let Some(latency) = &registry.stages[2].latency {
            latency.record(1 << 20, 5);
        }
        let lines = lines(&registry);
        assert_has(
            &lines,
            &[
                "# TYPE sage_records_in counter",
                "sage_records_in_total{pipeline=\"p\",tenant=\"t\",operator=\"flights\",operator_instance=\"0\"} 0",
                "sage_records_in_total{pipeline=\"p\",tenant=\"t\",operator=\"parse\",operator_instance=\"1\"} 10",
                "sage_cpu_seconds_total{pipeline=\"p\",tenant=\"t\",operator=\"parse\",operator_instance=\"1\"} 1.5",
                "sage_errors_total{pipeline=\"p\",tenant=\"t\",operator=\"parse\",\
                 operator_instance=\"1\",code=\"trap\"} 1",
                "sage_breaches_total{pipeline=\"p\",tenant=\"t\",operator=\"parse\",\
                 operator_instance=\"1\",limit=\"memory\"} 1",
                "sage_breaches_total{pipeline=\"p\",tenant=\"t\",operator=\"parse\",\
                 operator_instance=\"0\",limit=\"cpu_time_per_call\"} 0",
                "sage_memory_bytes{pipeline=\"p\",tenant=\"t\",operator=\"parse\",operator_instance=\"0\"} 100",
                "sage_memory_peak_bytes{pipeline=\"p\",tenant=\"t\",operator=\"parse\",operator_instance=\"0\"} 200",
                "sage_memory_limit_bytes{pipeline=\"p\",tenant=\"t\",operator=\"parse\",operator_instance=\"0\"} 400",
                "sage_queue_bytes{pipeline=\"p\",tenant=\"t\",operator=\"parse\",operator_instance=\"1\"} 7",
                "sage_latency_seconds{pipeline=\"p\",tenant=\"t\",operator=\"out\",quantile=\"0.99\"} 0.001048576",
                concat!("sage_build_info{pipeline=\"p\",tenant=\"t\",version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
                "# TYPE sage_record_latency_seconds histogram",
                "sage_record_latency_seconds_bucket{pipeline=\"p\",tenant=\"t\",le=\"0.001\",operator=\"out\"} 0",
                "sage_record_latency_seconds_bucket{pipeline=\"p\",tenant=\"t\",le=\"0.0025\",operator=\"out\"} 5",
                "sage_record_latency_seconds_bucket{pipeline=\"p\",tenant=\"t\",le=\"+Inf\",operator=\"out\"} 5",
                "sage_record_latency_seconds_count{pipeline=\"p\",tenant=\"t\",operator=\"out\"} 5",
            ],
        );
        assert!(!lines.iter().any(|line| line.contains("instance=") && !line.contains("operator_instance=")));
        assert!(
            !lines
                .iter()
                .any(|line| line.starts_with("sage_memory_bytes{pipeline=\"p\",tenant=\"t\",operator=\"out\""))
        );
        assert_eq!(lines.last().unwrap(), "# EOF");
    }

    #[test]
    fn each_limit_says_how_hard_it_holds_and_those_that_were_lost_are_counted() {
        let mut registry = watched(&[("parse", "map", 1)]);
        let standing = |resource: &str| LimitStanding {
            operator: "parse".to_owned(),
            resource: resource.to_owned(),
            tier: ("hard", 2),
        };
        let limits = LimitStandings::new(vec![standing("num_cpus"), standing("memory")]);
        limits.lower("parse", "num_cpus", ("none", 0), "moved").unwrap();
        Arc::get_mut(&mut registry).unwrap().limits = Arc::new(limits);
        assert_has(
            &lines(&registry),
            &[
                "# TYPE sage_limit_tier gauge",
                "sage_limit_tier{pipeline=\"p\",tenant=\"t\",operator=\"parse\",resource=\"num_cpus\"} 0",
                "sage_limit_tier{pipeline=\"p\",tenant=\"t\",operator=\"parse\",resource=\"memory\"} 2",
                "sage_limits_lost_total{pipeline=\"p\",tenant=\"t\"} 1",
            ],
        );
    }

    #[test]
    fn guests_publish_numbers_of_their_own() {
        let registry = watched(&[("parse", "map", 2)]);
        let metrics = |n: usize| &registry.stages[0].instances[n].metrics;
        metrics(0).counter("seen", 3);
        metrics(1).counter("seen", 4);
        metrics(1).gauge("depth", 2.5);
        metrics(0).histogram("size", 3.0);
        metrics(0).histogram("size", 1e12);
        assert_has(
            &lines(&registry),
            &[
                "# TYPE sage_guest_seen counter",
                "sage_guest_seen_total{pipeline=\"p\",tenant=\"t\",operator=\"parse\",operator_instance=\"0\"} 3",
                "sage_guest_seen_total{pipeline=\"p\",tenant=\"t\",operator=\"parse\",operator_instance=\"1\"} 4",
                "sage_guest_depth{pipeline=\"p\",tenant=\"t\",operator=\"parse\",operator_instance=\"1\"} 2.5",
                "sage_guest_size_count{pipeline=\"p\",tenant=\"t\",operator=\"parse\",operator_instance=\"0\"} 2",
                "sage_guest_size_bucket{pipeline=\"p\",tenant=\"t\",le=\"2.0\",\
                 operator=\"parse\",operator_instance=\"0\"} 0",
                "sage_guest_size_bucket{pipeline=\"p\",tenant=\"t\",le=\"4.0\",\
                 operator=\"parse\",operator_instance=\"0\"} 1",
                "sage_guest_size_bucket{pipeline=\"p\",tenant=\"t\",le=\"+Inf\",\
                 operator=\"parse\",operator_instance=\"0\"} 2",
            ],
        );
    }

    #[test]
    fn names_that_clash_are_dropped_so_that_the_text_stays_valid() {
        let registry = watched(&[("a", "map", 1), ("b", "map", 1)]);
        let (a, b) = (&registry.stages[0].instances[0].metrics, &registry.stages[1].instances[0].metrics);
        a.counter("x", 1);
        a.counter("x_total", 2);
        b.gauge("x", 3.0);
        b.gauge("x_total", 4.0);
        b.gauge("fine", 5.0);
        let lines = lines(&registry);
        assert_has(
            &lines,
            &[
                "sage_guest_x_total{pipeline=\"p\",tenant=\"t\",operator=\"a\",operator_instance=\"0\"} 1",
                "sage_guest_fine{pipeline=\"p\",tenant=\"t\",operator=\"b\",operator_instance=\"0\"} 5.0",
                "sage_guest_metrics_dropped_total{pipeline=\"p\",tenant=\"t\",\
                 operator=\"a\",operator_instance=\"0\"} 1",
                "sage_guest_metrics_dropped_total{pipeline=\"p\",tenant=\"t\",\
                 operator=\"b\",operator_instance=\"0\"} 2",
            ],
        );
        let mut names = HashSet::new();
        for line in lines.iter().filter(|line| !line.starts_with('#')) {
            assert!(names.insert(line.rsplit_once(' ').unwrap().0), "{line} twice");
        }
        assert_eq!(lines.iter().filter(|line| line.contains("# TYPE sage_guest_x")).count(), 1);
    }
}
