use sage_jobs::JobStage;
use serde::{Deserialize, Serialize};

/// The work of one source, operator or sink between two looks, all instances together, with its counts so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageRates {
    /// Records that it took each second; of a source: that it gave. `None` without an earlier look.
    pub records_per_second: Option<f64>,
    /// Records that it sent out each second.
    pub records_out_per_second: Option<f64>,
    /// The part of its instances' time that it computed.
    pub busy: Option<f64>,
    /// The part of its instances' time for which a CPU share held it back.
    pub throttled: Option<f64>,
    /// The filled part of the room in front of it.
    pub back_pressure: Option<f64>,
    /// The counts so far.
    #[serde(flatten)]
    pub stage: JobStage,
}

impl StageRates {
    /// What a stage did since an earlier look, `seconds` before this one.
    #[must_use]
    pub fn between(earlier: Option<&JobStage>, stage: &JobStage, seconds: f64) -> Self {
        let rate = |of: fn(&JobStage) -> f64| {
            let grown = (of(stage) - of(earlier?)).max(0.0);
            (seconds > 0.0).then_some(grown / seconds)
        };
        let instances = f64::from(stage.instances.max(1));
        Self {
            records_per_second: rate(records),
            records_out_per_second: rate(|stage| stage.records_out as f64),
            busy: rate(|stage| stage.cpu_seconds).map(|cpus| cpus / instances),
            throttled: rate(|stage| stage.throttled_seconds).map(|held| held / instances),
            back_pressure: (stage.queue_limit > 0).then(|| stage.queue_bytes as f64 / stage.queue_limit as f64),
            stage: stage.clone(),
        }
    }
}

fn records(stage: &JobStage) -> f64 {
    // A source takes nothing in.
    if stage.kind == "source" { stage.records_out as f64 } else { stage.records_in as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_growth_by_time_and_by_instance() {
        let earlier = JobStage { kind: "map".to_owned(), instances: 2, records_in: 100, ..JobStage::default() };
        let now = JobStage {
            records_in: 300,
            records_out: 50,
            cpu_seconds: 2.0,
            throttled_seconds: 1.0,
            queue_bytes: 25,
            queue_limit: 100,
            ..earlier.clone()
        };
        let rates = StageRates::between(Some(&earlier), &now, 2.0);
        assert_eq!((rates.records_per_second, rates.records_out_per_second), (Some(100.0), Some(25.0)));
        assert_eq!((rates.busy, rates.throttled, rates.back_pressure), (Some(0.5), Some(0.25), Some(0.25)));
        let first = StageRates::between(None, &now, 0.0);
        assert_eq!((first.records_per_second, first.busy, first.back_pressure), (None, None, Some(0.25)));
        let source = JobStage { kind: "source".to_owned(), records_out: 10, ..JobStage::default() };
        assert_eq!(StageRates::between(Some(&JobStage::default()), &source, 1.0).records_per_second, Some(10.0));
    }
}
