use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::seconds::seconds;
use super::{InferenceCounters, StageView};

/// The use of devices by a stage, all instances together.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct InferenceSummary {
    /// Names of the devices that served the stage.
    pub devices: BTreeSet<String>,
    /// Calls of models, including failed ones.
    pub calls: u64,
    /// Rows of these calls.
    pub rows: u64,
    /// Bytes of tensors that went in.
    pub bytes_in: u64,
    /// Bytes of tensors that came back.
    pub bytes_out: u64,
    /// Seconds that calls waited for a device, each until its first rows ran.
    pub wait_seconds: f64,
    /// Seconds of device time. The time of a run that is shared with other callers is divided by rows.
    pub device_seconds: f64,
    /// CPU seconds of these calls on the devices' own threads. They are not part of the stage's CPU seconds.
    pub cpu_seconds: f64,
    /// Total seconds that instances waited for their leases, each since the pipeline first asked to be
    /// admitted.
    pub lease_wait_seconds: f64,
    /// Calls that failed, by code.
    pub errors: BTreeMap<&'static str, u64>,
}

impl InferenceSummary {
    /// The use of devices by a stage; `None` if no device serves it.
    pub(super) fn of(stage: &StageView) -> Option<Self> {
        let served: Vec<&InferenceCounters> =
            stage.instances.iter().filter_map(|instance| instance.inference.as_deref()).collect();
        if served.is_empty() {
            return None;
        }
        let sum = |read: fn(&InferenceCounters) -> u64| -> u64 {
            served.iter().map(|counters| read(counters)).fold(0, u64::saturating_add)
        };
        let mut errors = BTreeMap::new();
        for (code, count) in served.iter().flat_map(|counters| counters.errors.get()) {
            *errors.entry(code).or_default() += count;
        }
        Some(Self {
            devices: served.iter().flat_map(|counters| counters.devices.iter().cloned()).collect(),
            calls: sum(|c| c.calls.get()),
            rows: sum(|c| c.rows.get()),
            bytes_in: sum(|c| c.bytes_in.get()),
            bytes_out: sum(|c| c.bytes_out.get()),
            wait_seconds: seconds(sum(|c| c.wait_nanoseconds.get())),
            device_seconds: seconds(sum(|c| c.device_nanoseconds.get())),
            cpu_seconds: seconds(sum(|c| c.cpu_nanoseconds.get())),
            lease_wait_seconds: seconds(sum(|c| c.lease_wait_nanoseconds.get())),
            errors,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::registry::watched;
    use super::super::{Outcome, Summary};
    use super::*;

    #[test]
    fn instances_are_summed_up_beside_their_stage() {
        let mut registry = Arc::into_inner(watched(&[("a", "map", 1), ("b", "map", 3)])).unwrap();
        for (instance, device) in [(0, "cpu0"), (2, "cpu1")] {
            let counters = InferenceCounters::new(vec![device.to_owned()]);
            counters.calls.add(5);
            counters.rows.add(160);
            counters.cpu_nanoseconds.add(750_000_000);
            counters.errors.count("deadline");
            registry.stages[1].instances[instance].inference = Some(Arc::new(counters));
        }
        let summary = Summary::of(&registry, Outcome::Completed);
        assert_eq!(summary.stages[0].inference, None);
        let found = summary.stages[1].inference.clone().unwrap();
        assert_eq!((found.calls, found.rows, found.cpu_seconds), (10, 320, 1.5));
        assert_eq!(found.errors, BTreeMap::from([("deadline", 2)]));
        assert_eq!(summary.stages[1].cpu_seconds, 0.0, "a device's CPU time is not the lanes'");
        let note = "b: 10 calls of models, 320 rows, on cpu0, cpu1: 1.50 s of CPU there";
        let failed = "b: calls of models that failed: deadline 2";
        let text = summary.to_string();
        for line in [note, failed] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        let json = serde_json::to_value(&summary).unwrap();
        assert!(json["stages"][0].get("inference").is_none());
        assert_eq!(json["stages"][1]["inference"]["devices"], serde_json::json!(["cpu0", "cpu1"]));
    }
}
