use std::time::Duration;

/// Reads what the kernel counts of an instance that has a group of its own.
pub trait KernelReading: Send + Sync {
    /// The numbers of this moment; after the instance has ended, its last ones.
    fn read(&self) -> KernelNumbers;
}

/// What the kernel counts. `None`: it does not say.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct KernelNumbers {
    /// Bytes of memory of the whole worker process now: guest, runtime, buffers, stacks.
    pub memory: Option<u64>,
    /// The most so far.
    pub memory_peak: Option<u64>,
    /// The most that the kernel lets it have.
    pub memory_max: Option<u64>,
    /// Processes that the kernel killed because memory ran out.
    pub oom_kills: Option<u64>,
    /// Periods in which it was held back because its CPU quota was used up.
    pub throttled_periods: Option<u64>,
    /// How long it was held back by its CPU quota.
    pub throttled: Option<Duration>,
    /// Share of the last ten seconds in which some of it waited for memory, in percent (PSI).
    pub memory_pressure: Option<f64>,
    /// The same for CPU.
    pub cpu_pressure: Option<f64>,
}
