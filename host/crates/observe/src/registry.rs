use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use super::{
    DeviceReading, ErrorCounts, GuestMetrics, InferenceCounters, InstanceCounters, KernelReading, Latency,
    LimitStandings,
};

/// Everything there is to see of a run, by stage and instance. Made before the run goes and never changed; what it refers
/// to changes, and can be read at any time.
#[derive(Debug)]
pub struct Registry {
    /// The pipeline's name.
    pub pipeline: String,
    /// On whose behalf it runs.
    pub tenant: String,
    /// Which run of it.
    pub run: String,
    /// When it began.
    pub began: Instant,
    /// Sources, operators, sinks, upstream before downstream.
    pub stages: Vec<StageView>,
    /// How hard each limit of its ledger holds.
    pub limits: Arc<LimitStandings>,
    /// The devices that serve some of them.
    pub devices: Vec<DeviceView>,
}

/// A device as it can be watched.
pub struct DeviceView {
    /// Its name.
    pub name: String,
    /// What it does.
    pub reading: Arc<dyn DeviceReading>,
}

/// A stage as it can be watched.
#[derive(Debug)]
pub struct StageView {
    /// Its name.
    pub name: String,
    /// What it is: `source`, `map`, …, `sink`.
    pub kind: &'static str,
    /// Its instances in order.
    pub instances: Vec<InstanceView>,
    /// How long records took to get here; for sinks.
    pub latency: Option<Arc<Latency>>,
}

/// An instance as it can be watched.
pub struct InstanceView {
    /// What it has done.
    pub counters: Arc<InstanceCounters>,
    /// What went wrong, by code.
    pub errors: Arc<ErrorCounts>,
    /// What its guests publish.
    pub metrics: Arc<GuestMetrics>,
    /// Its memory; `None` for a built-in source or sink.
    pub memory: Option<Arc<dyn MemoryReading>>,
    /// What the kernel counts of it; `None` where it has no group of the kernel's to itself.
    pub kernel: Option<Arc<dyn KernelReading>>,
    /// What it has had devices do; `None` where it has no lease on one.
    pub inference: Option<Arc<InferenceCounters>>,
    /// Bytes of batches waiting for it.
    pub queue_bytes: Arc<dyn Fn() -> u64 + Send + Sync>,
}

/// Reads an instance's memory.
pub trait MemoryReading: Send + Sync {
    /// Bytes in use now.
    fn used(&self) -> u64;
    /// The most in use so far.
    fn peak(&self) -> u64;
    /// The cap.
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

/// A registry whose instances stand still, to try out what reads it: memory 100 of 400 (peak 200), 7 bytes waiting.
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
    })
}
