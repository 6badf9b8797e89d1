use std::time::Duration;

/// Reads the kernel's counts of an instance that has a control group of its own.
pub trait KernelReading: Send + Sync {
    /// The current numbers; after the instance has ended, its last ones.
    fn read(&self) -> KernelNumbers;
}

/// The kernel's counts. A count is `None` if the kernel does not provide it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct KernelNumbers {
    /// Bytes of memory that the whole worker process uses now: guest, runtime, buffers, stacks.
    pub memory: Option<u64>,
    /// Peak of these bytes so far.
    pub memory_peak: Option<u64>,
    /// Most bytes that the kernel allows.
    pub memory_max: Option<u64>,
    /// Processes that the kernel killed because memory ran out.
    pub oom_kills: Option<u64>,
    /// Periods in which the instance was throttled because its CPU quota was used up.
    pub throttled_periods: Option<u64>,
    /// Time for which the CPU quota throttled the instance.
    pub throttled: Option<Duration>,
    /// Percentage of the last ten seconds in which at least one of the instance's tasks waited for memory
    /// (PSI).
    pub memory_pressure: Option<f64>,
    /// Percentage of the last ten seconds in which at least one of the instance's tasks waited for a CPU (PSI).
    pub cpu_pressure: Option<f64>,
}
