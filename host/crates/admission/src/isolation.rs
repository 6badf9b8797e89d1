use sage_plan::{CpuRequest, Stage};

/// Whether instances are threads or processes, and the available means to limit them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Isolation {
    /// Instances are threads of this process. The sandbox limits each instance.
    #[default]
    Thread,
    /// Each instance is a process of its own.
    Process(WorkerBounds),
}

/// The limits that work for a worker process on this machine, as found by trial, and the cost of a worker
/// itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerBounds {
    /// Limits of the kernel that work.
    pub kernel: KernelLimits,
    /// Bytes of a worker besides the caps of its lanes: the program, its rings and its buffers. A measured
    /// value.
    pub overhead: u64,
    /// Additional bytes for each lane after the first: its ring and its buffers.
    pub lane_overhead: u64,
    /// Processes and threads of a worker besides one thread for each lane.
    pub threads: u32,
}

impl WorkerBounds {
    /// Bytes of an instance's worker besides the caps of its lanes, with as many lanes as the stage requests.
    pub(super) fn overhead_of(&self, stage: &Stage) -> u64 {
        let more = match stage.resources.num_cpus {
            Some(CpuRequest::Whole(count)) => count.saturating_sub(1),
            Some(CpuRequest::Fraction(_)) | None => 0,
        };
        self.overhead.saturating_add(self.lane_overhead.saturating_mul(more.into()))
    }
}

/// The limits of the kernel that were seen to work.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each was tried by itself, and any of them can be missing")]
pub struct KernelLimits {
    /// Bytes of memory of a control group (`memory.max`, `memory.limit_in_bytes`).
    pub memory: bool,
    /// CPU time in each period (`cpu.max`, `cpu.cfs_quota_us`).
    pub cpu_quota: bool,
    /// The CPUs on which a group runs (`cpuset.cpus`).
    pub cpuset: bool,
    /// Processes and threads of a group (`pids.max`).
    pub pids: bool,
    /// The system call filter that keeps a worker from starting processes.
    pub syscall_filter: bool,
    /// The mechanism and its location, for example `cgroup v2 at /sys/fs/cgroup/sage-host` or `no control
    /// groups`.
    pub place: String,
}

impl Isolation {
    /// The smallest share that the kernel's quota can enforce, in 1/10,000 of a CPU. The kernel's shortest
    /// run time is 1 ms and its longest period is 1 s.
    pub const SMALLEST_QUOTA: u32 = 10;

    /// The limits for workers. `None` with threads.
    pub(super) fn worker(&self) -> Option<&WorkerBounds> {
        match self {
            Self::Thread => None,
            Self::Process(bounds) => Some(bounds),
        }
    }

    /// Whether the kernel limits a worker to this share of a CPU.
    pub(super) fn has_quota(&self, share: u32) -> bool {
        share >= Self::SMALLEST_QUOTA && self.worker().is_some_and(|worker| worker.kernel.cpu_quota)
    }
}
