use sage_plan::{CpuRequest, Stage};

/// Where instances live, and what there is to hold them by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Isolation {
    /// In threads of this process, each held by its sandbox.
    #[default]
    Thread,
    /// Each in a process of its own.
    Process(WorkerBounds),
}

/// What a worker process can be held by on this machine, as it was found out by trying, and what it costs by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerBounds {
    /// Limits of the kernel that work.
    pub kernel: KernelLimits,
    /// Bytes of a worker besides what its lanes' caps allow: the program, its rings, its buffers. Measured.
    pub overhead: u64,
    /// Bytes that each lane beyond the first needs on top: its ring and its buffers.
    pub lane_overhead: u64,
    /// Processes and threads of a worker besides one thread a lane.
    pub threads: u32,
}

impl WorkerBounds {
    /// Bytes of the worker of one instance besides what its lanes' caps allow, with as many lanes as the stage asks for.
    pub(super) fn overhead_of(&self, stage: &Stage) -> u64 {
        let more = match stage.resources.num_cpus {
            Some(CpuRequest::Whole(count)) => count.saturating_sub(1),
            Some(CpuRequest::Fraction(_)) | None => 0,
        };
        self.overhead.saturating_add(self.lane_overhead.saturating_mul(more.into()))
    }
}

/// Which of the kernel's limits were seen to work.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each was tried by itself, and any of them can be missing")]
pub struct KernelLimits {
    /// Bytes of memory of a control group (`memory.max`, `memory.limit_in_bytes`).
    pub memory: bool,
    /// CPU time in each period (`cpu.max`, `cpu.cfs_quota_us`).
    pub cpu_quota: bool,
    /// On which CPUs a group runs (`cpuset.cpus`).
    pub cpuset: bool,
    /// Processes and threads of a group (`pids.max`).
    pub pids: bool,
    /// The filter that keeps a worker from starting processes.
    pub syscall_filter: bool,
    /// Which mechanism these are and where: `cgroup v2 at /sys/fs/cgroup/sage-host`, `no control groups`.
    pub place: String,
}

impl Isolation {
    /// The smallest share that the kernel's quota can hold, in 1/10,000: its shortest run is 1 ms, its longest period 1 s.
    pub const SMALLEST_QUOTA: u32 = 10;

    /// What there is for workers; `None` in threads.
    pub(super) fn worker(&self) -> Option<&WorkerBounds> {
        match self {
            Self::Thread => None,
            Self::Process(bounds) => Some(bounds),
        }
    }

    /// Whether the kernel holds a worker to this share of a CPU.
    pub(super) fn has_quota(&self, share: u32) -> bool {
        share >= Self::SMALLEST_QUOTA && self.worker().is_some_and(|worker| worker.kernel.cpu_quota)
    }
}
