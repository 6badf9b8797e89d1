/// The surroundings that a run relies on. They are found out at admission, and may change while the run lasts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Needs {
    /// Bytes of memory that the control groups above this process must give, so that no instance runs out below
    /// its promised memory. `None` if no memory was promised, or if there was less from the start.
    pub memory: Option<u64>,
    /// CPU time that the control groups above must give, in 1/10,000 of a CPU. `None` as for the memory.
    pub cpu_time: Option<u64>,
    /// Number of CPUs that the process may use. If the CPU time is less than these CPUs have, threads without a
    /// lease can use up the time that leased CPUs need.
    pub usable: u32,
}
