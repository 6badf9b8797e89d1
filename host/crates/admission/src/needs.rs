/// What a run relies on of what surrounds it: found out at admission, and true only as long as nobody changes it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Needs {
    /// Bytes of memory that there must be above this process, so that nobody runs out below what was promised. `None` where nothing was,
    /// or where there was less from the start.
    pub memory: Option<u64>,
    /// CPU time, in 1/10,000 of a CPU, likewise.
    pub cpu_time: Option<u64>,
    /// How many CPUs the process may use: with less time than these have, threads without a lease can use up what leased ones need.
    pub usable: u32,
}
