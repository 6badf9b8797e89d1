use serde::Serialize;

use super::StageView;

/// What the kernel counted of a stage's worker processes, all instances together.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct KernelSummary {
    /// The most memory that one of them had, everything counted, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_peak_bytes: Option<u64>,
    /// The most that the kernel lets one of them have, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_max_bytes: Option<u64>,
    /// Processes killed because memory ran out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oom_kills: Option<u64>,
    /// Periods in which a CPU quota was used up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub throttled_periods: Option<u64>,
    /// Seconds for which CPU quotas held them back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub throttled_seconds: Option<f64>,
    /// The most that any of them waited for memory at the end: percent of ten seconds (PSI).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_pressure_percent: Option<f64>,
    /// The same for CPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_pressure_percent: Option<f64>,
}

impl KernelSummary {
    /// `None` for a stage without worker processes.
    pub(super) fn of(stage: &StageView) -> Option<Self> {
        let readings: Vec<_> =
            stage.instances.iter().filter_map(|instance| Some(instance.kernel.as_ref()?.read())).collect();
        if readings.is_empty() {
            return None;
        }
        let most = |percent: Vec<f64>| percent.into_iter().reduce(f64::max);
        let throttled: Vec<_> = readings.iter().filter_map(|reading| reading.throttled).collect();
        Some(Self {
            memory_peak_bytes: readings.iter().filter_map(|reading| reading.memory_peak).max(),
            memory_max_bytes: readings.iter().filter_map(|reading| reading.memory_max).max(),
            oom_kills: sum(readings.iter().map(|reading| reading.oom_kills)),
            throttled_periods: sum(readings.iter().map(|reading| reading.throttled_periods)),
            throttled_seconds: (!throttled.is_empty()).then(|| throttled.iter().map(|time| time.as_secs_f64()).sum()),
            memory_pressure_percent: most(readings.iter().filter_map(|reading| reading.memory_pressure).collect()),
            cpu_pressure_percent: most(readings.iter().filter_map(|reading| reading.cpu_pressure).collect()),
        })
    }
}

/// The sum of what is known; `None` where nothing is.
fn sum(numbers: impl Iterator<Item = Option<u64>>) -> Option<u64> {
    numbers.flatten().reduce(u64::saturating_add)
}
