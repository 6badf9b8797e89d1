use serde::Serialize;

use super::cgroup::LimitAbove;
use super::{Arithmetic, CpuSet, LeasePlace, Tier};

/// The answer to `run --explain`: for every instance, each request, the effective amount, the mechanism that
/// enforces it, and how strong the enforcement is. `Display` gives a table with an explanation of its words
/// below, `Serialize` gives the same rows as data.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EnforcementReport {
    /// The pipeline's name.
    pub pipeline: String,
    /// Rows by stage, in the plan's order.
    pub rows: Vec<ReportRow>,
    /// The pipeline's sums on this machine.
    pub totals: Totals,
    /// The place of leases and claims; `None` if it was not looked up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leases: Option<LeasePlace>,
    /// The sum of memory, if instances have processes of their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arithmetic: Option<Arithmetic>,
}

/// One resource of one operator's instances.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReportRow {
    /// The operator's name.
    pub operator: String,
    /// Number of instances that the row describes, each for itself: an operator's instances are equal until
    /// they run.
    pub instances: u32,
    /// The resource or limit, by its name in the pipeline file.
    pub resource: String,
    /// The request in the pipeline file, for each instance; `None` if the file has none.
    pub requested: Option<String>,
    /// The effective amount or limit of each instance.
    pub effective: String,
    /// The mechanism that enforces the row.
    pub mechanism: Mechanism,
    /// Strength of the enforcement.
    pub tier: Tier,
    /// A remark on this row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// The mechanism that enforces a promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mechanism {
    /// Leased CPUs with a lane pinned on each.
    CpuLease,
    /// Leased CPUs with a lane pinned on each, in a worker that the kernel keeps on them.
    CpuLeaseCpuset,
    /// The kernel's quota of CPU time.
    CgroupQuota,
    /// A CPU-time duty cycle.
    DutyCycle,
    /// The pool of CPUs that are not leased.
    SharedCpus,
    /// The kernel's limit around the worker, and below it the limiter over memories, tables and state.
    CgroupMemory,
    /// The limiter over memories, tables and state.
    MemoryLimiter,
    /// The kernel's limit on processes and threads.
    CgroupPids,
    /// The worker's filter of system calls.
    SyscallFilter,
    /// Back-pressure that counts bytes.
    ByteCredit,
    /// A lease on a device; models run only under a lease.
    DeviceLease,
    /// A sum that is checked at admission.
    Count,
    /// A deadline on the lane's CPU clock.
    CpuDeadline,
    /// A deadline on the wall clock.
    WallDeadline,
    /// A limit on the rate of log lines.
    LogRate,
    /// A count of the records that a call sends.
    OutputCount,
    /// No mechanism.
    Nothing,
}

impl Mechanism {
    /// A name short enough for a table.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::CpuLease => "CPU lease",
            Self::CpuLeaseCpuset => "CPU lease, cpuset",
            Self::CgroupQuota => "cgroup cpu.max",
            Self::DutyCycle => "duty cycle",
            Self::SharedCpus => "shared CPUs",
            Self::CgroupMemory => "cgroup memory.max",
            Self::MemoryLimiter => "memory limiter",
            Self::CgroupPids => "cgroup pids.max",
            Self::SyscallFilter => "syscall filter",
            Self::ByteCredit => "byte credit",
            Self::DeviceLease => "device lease",
            Self::Count => "count",
            Self::CpuDeadline => "CPU deadline",
            Self::WallDeadline => "wall deadline",
            Self::LogRate => "log rate",
            Self::OutputCount => "output count",
            Self::Nothing => "nothing",
        }
    }

    /// The effect of the mechanism, and the cases that it does not bound.
    #[must_use]
    pub fn explanation(self) -> &'static str {
        match self {
            Self::CpuLease => {
                "one lane pinned on each CPU, which no other sage-host of the lease folder uses; \
                 other programs may run there"
            }
            Self::CpuLeaseCpuset => {
                "one lane pinned on each CPU, and the kernel lets the whole worker run nowhere else; \
                 no other sage-host of the lease folder uses them, other programs may"
            }
            Self::CgroupQuota => {
                "the kernel stops the whole worker when it has used its share of a period; the share is not guaranteed"
            }
            Self::DutyCycle => {
                "the lane sleeps when it has used its share of any second, to within 10 %; \
                 a bulk memory operation may pass it and is slept off"
            }
            Self::SharedCpus => {
                "runs on the CPUs that are not leased, beside everything else there; no amount is promised"
            }
            Self::CgroupMemory => {
                "the kernel kills a worker that uses more memory, including shared pages that it touched first; \
                 before that, the memory limiter fails a guest with larger linear memories, tables and state; \
                 pages that another process touched first are not counted"
            }
            Self::MemoryLimiter => {
                "linear memories, tables and keyed state of all lanes together; not batches in flight nor compiled code"
            }
            Self::CgroupPids => {
                "the kernel refuses more processes and threads to the worker, even if hostile code controls it"
            }
            Self::SyscallFilter => "the worker cannot start processes; the number of its threads is not limited",
            Self::ByteCredit => "the sender waits while this many bytes wait on the instance's inputs",
            Self::DeviceLease => {
                "models run for an instance only while it holds a lease that no other sage-host of the lease folder \
                 has; fractions together are at most the whole device, and leases take turns on its slots by them, \
                 over all runs of a user; a running model is not interrupted, no part of the memory bandwidth is \
                 promised, and other programs are not bound by any of this"
            }
            Self::Count => {
                "the requests of all instances of all running pipelines are summed up against host.toml before the \
                 start; their later use is not checked"
            }
            Self::CpuDeadline => {
                "the call is stopped by the lane's CPU clock, checked every millisecond; \
                 not inside one bulk memory operation"
            }
            Self::WallDeadline => "the call is stopped by the wall clock; a wait inside a host call ends first",
            Self::LogRate => "log bytes over the rate are dropped and counted, a flood fails the call",
            Self::OutputCount => {
                "everything that a call sends is counted before it is copied, more fails the call; \
                 beside `memory` the host holds at most twice this for each lane"
            }
            Self::Nothing => "not enforced",
        }
    }
}

/// The sums of a pipeline on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// CPUs this process may use.
    pub cpus_allowed: CpuSet,
    /// CPUs this pipeline leases.
    pub cpus_leased: u32,
    /// Allowed CPUs that were already leased.
    pub cpus_leased_elsewhere: u32,
    /// CPUs that are never leased.
    pub cpus_reserved: u32,
    /// CPU time, in 1/10,000 of a CPU, that the control groups above this process allow, with the group that
    /// sets the bound; `None` if no group bounds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_quota: Option<LimitAbove>,
    /// CPUs that remain for threads without a lease.
    pub cpus_shared: u32,
    /// The sum of fractional `num_cpus`, in 1/10,000.
    pub shares_ten_thousandths: u64,
    /// The sum of fractions that other running pipelines claim, in 1/10,000.
    pub shares_elsewhere_ten_thousandths: u64,
    /// The sum of `memory` and `object_store_memory` of all instances, in bytes.
    pub memory_declared: u64,
    /// Bytes that instances without `memory` may use in addition before their caps stop them.
    pub memory_default_caps: u64,
    /// Bytes that other running pipelines claim.
    pub memory_elsewhere: u64,
    /// Bytes that all operators can have together, including those of other pipelines.
    pub memory_available: u64,
    /// Bytes that operators do not get.
    pub memory_reserved: u64,
}
