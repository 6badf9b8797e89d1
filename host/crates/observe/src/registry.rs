use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;

use super::EpochProgress;
use super::{
    DeviceReading, ErrorCounts, EventTimeGauge, GuestMetrics, InferenceCounters, InstanceCounters, KernelReading,
    Latency, LimitStandings,
};

/// All data about a run that can be observed, by stage and instance. The registry is created before the run
/// starts and never changes. The values to which it refers change, and can be read at any time.
#[derive(Debug)]
pub struct Registry {
    /// The pipeline's name.
    pub pipeline: String,
    /// Tenant on whose behalf the pipeline runs.
    pub tenant: String,
    /// Identifier of this run.
    pub run: String,
    /// Time at which the run began.
    pub began: Instant,
    /// Sources, operators and sinks, upstream before downstream.
    pub stages: Vec<StageView>,
    /// Current enforcement tier of each limit.
    pub limits: Arc<LimitStandings>,
    /// Devices that serve some of the stages.
    pub devices: Vec<DeviceView>,
    /// The epochs of a run with checkpoints.
    pub epochs: Option<Arc<EpochProgress>>,
}

/// The observable data of a device.
pub struct DeviceView {
    /// Name of the device.
    pub name: String,
    /// Reader of the device's numbers.
    pub reading: Arc<dyn DeviceReading>,
}

/// The observable data of a stage.
#[derive(Debug)]
pub struct StageView {
    /// Name of the stage.
    pub name: String,
    /// Kind of the stage: `source`, `map`, …, `sink`.
    pub kind: &'static str,
    /// Instances of the stage, in order.
    pub instances: Vec<InstanceView>,
    /// Time that records took to get here; only for sinks.
    pub latency: Option<Arc<Latency>>,
}

impl StageView {
    /// Event time that all instances have reached, as RFC 3339. `None` without event time.
    #[must_use]
    pub fn watermark(&self) -> Option<String> {
        let gauges = self.instances.iter().flat_map(|instance| &instance.event_times);
        let time = EventTimeGauge::of_all(gauges.map(|gauge| &**gauge))?;
        let micros = || format!("{time} microseconds since 1970");
        Some(Timestamp::from_microsecond(time).map_or_else(|_| micros(), |time| time.to_string()))
    }
}

/// The observable data of an instance.
pub struct InstanceView {
    /// Counters of the instance's work.
    pub counters: Arc<InstanceCounters>,
    /// Errors by code.
    pub errors: Arc<ErrorCounts>,
    /// Metrics that the instance's guests publish.
    pub metrics: Arc<GuestMetrics>,
    /// Reader of the instance's memory; `None` for a built-in source or sink.
    pub memory: Option<Arc<dyn MemoryReading>>,
    /// Reader of the kernel's counts; `None` if the instance has no control group of its own.
    pub kernel: Option<Arc<dyn KernelReading>>,
    /// Counters of the instance's use of devices; `None` if it has no lease on a device.
    pub inference: Option<Arc<InferenceCounters>>,
    /// How far event time is in each of the instance's lanes.
    pub event_times: Vec<Arc<EventTimeGauge>>,
    /// Bytes of batches that wait for the instance.
    pub queue_bytes: Arc<dyn Fn() -> u64 + Send + Sync>,
}

/// Reads an instance's memory.
pub trait MemoryReading: Send + Sync {
    /// Bytes in use now.
    fn used(&self) -> u64;
    /// Peak of bytes in use so far.
    fn peak(&self) -> u64;
    /// Cap in bytes.
    fn cap(&self) -> u64;
}

impl fmt::Debug for InstanceView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InstanceView").field("counters", &self.counters).finish_non_exhaustive()
    }
}

impl fmt::Debug for DeviceView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceView").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A registry with constant values, to test its readers: memory 100 of 400 (peak 200), 7 bytes waiting.
#[cfg(test)]
pub(super) fn watched(stages: &[(&str, &'static str, usize)]) -> Arc<Registry> {
    struct Still;
    impl MemoryReading for Still {
        fn used(&self) -> u64 {
            100
        }
        fn peak(&self) -> u64 {
            200
        }
        fn cap(&self) -> u64 {
            400
        }
    }
    let instance = |operator: bool| InstanceView {
        counters: Arc::default(),
        errors: Arc::default(),
        metrics: Arc::default(),
        memory: operator.then(|| Arc::new(Still) as Arc<dyn MemoryReading>),
        kernel: None,
        inference: None,
        event_times: Vec::new(),
        queue_bytes: Arc::new(|| 7),
    };
    let stages = stages.iter().map(|&(name, kind, instances)| StageView {
        name: name.to_owned(),
        kind,
        instances: (0..instances).map(|_| instance(kind != "source" && kind != "sink")).collect(),
        latency: (kind == "sink").then(Arc::default),
    });
    Arc::new(Registry {
        pipeline: "p".to_owned(),
        tenant: "t".to_owned(),
        run: "r".to_owned(),
        began: Instant::now(),
        stages: stages.collect(),
        limits: Arc::default(),
        devices: Vec::new(),
        epochs: None,
    })
}
