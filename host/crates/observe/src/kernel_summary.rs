use serde::Serialize;

use super::StageView;

/// The kernel's counts of a stage's worker processes, all instances together.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct KernelSummary {
    /// Most bytes of memory that one of the processes used, everything counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_peak_bytes: Option<u64>,
    /// Most bytes of memory that the kernel allows one of the processes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_max_bytes: Option<u64>,
    /// Processes killed because memory ran out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oom_kills: Option<u64>,
    /// Periods in which a CPU quota was used up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub throttled_periods: Option<u64>,
    /// Seconds for which CPU quotas throttled the processes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub throttled_seconds: Option<f64>,
    /// Highest percentage of the last ten seconds in which a process waited for memory, read at the end (PSI).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_pressure_percent: Option<f64>,
    /// Highest percentage of the last ten seconds in which a process waited for a CPU, read at the end (PSI).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_pressure_percent: Option<f64>,
}

impl KernelSummary {
    /// The kernel's counts of a stage; `None` if the stage has no worker processes.
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

/// The sum of the known numbers; `None` if no number is known.
fn sum(numbers: impl Iterator<Item = Option<u64>>) -> Option<u64> {
    numbers.flatten().reduce(u64::saturating_add)
}
