use std::collections::BTreeMap;

use super::Needs;
use sage_machine::{Amounts, CpuSet, EnforcementReport};
use sage_plan::StageId;
use sage_plan::config::TenantName;

/// The grant for every stage of a plan. A grant is a decision and holds nothing yet: `admit` of the runtime
/// crate takes the leases.
#[derive(Debug, Clone, PartialEq)]
pub struct Grant {
    /// Grants by stage, in the plan's order.
    pub stages: Vec<StageGrant>,
    /// The enforcement report of this grant, with the mechanism behind each limit.
    pub report: EnforcementReport,
    /// The CPUs from which leases are chosen.
    pub allowed: CpuSet,
    /// Number of these CPUs that are never leased.
    pub cpus_reserved: u32,
    /// Bytes to which the kernel must limit all workers of the pipeline together. `None` with threads, and if
    /// the kernel cannot limit them.
    pub memory_max: Option<u64>,
    /// The conditions of the environment on which the grant relies.
    pub needs: Needs,
    /// The tenant for which the pipeline runs.
    pub tenant: TenantName,
    /// Amounts that the pipeline claims on the machine in addition to leases.
    pub amounts: Amounts,
}

impl Grant {
    /// The grant of one stage. `id` must come from the plan that this grant was decided for.
    #[must_use]
    #[expect(clippy::indexing_slicing, reason = "a grant has as many stages as its plan, whose ids these are")]
    pub fn stage(&self, id: StageId) -> &StageGrant {
        &self.stages[id.0]
    }
}

/// The grant for each instance of one stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageGrant {
    /// Threads, each with its own copy of the component. 1 for a built-in source or sink.
    pub lanes: u32,
    /// The CPUs on which the lanes run.
    pub cpus: Cpus,
    /// The share of one CPU to which the kernel must limit the instance's worker, in 1/10,000. `None` if no
    /// share is requested, with threads, and if the kernel cannot limit it. In the last two cases the lane
    /// itself keeps to its [`Cpus::Share`].
    pub cpu_quota: Option<u32>,
    /// Bytes of linear memories, tables and keyed state, for all lanes together. `None` for a built-in source
    /// or sink, which uses memory of the host.
    pub memory_cap: Option<u64>,
    /// Bytes to which the kernel must limit the instance's whole worker. `None` with threads, and if the
    /// kernel cannot limit it.
    pub memory_max: Option<u64>,
    /// Processes and threads that the kernel must allow the instance's worker at most. `None` with threads,
    /// and if the kernel cannot limit them.
    pub pids_max: Option<u32>,
    /// Bytes that may wait on all inputs of the instance together. Without meaning for a stage without
    /// inputs.
    pub edge_bytes: u64,
    /// Custom resources that are counted for the instance, in 1/10,000 of a unit.
    pub custom: BTreeMap<String, u64>,
    /// Device grants by instance, one for each device. Empty if no device is requested.
    pub devices: Vec<Vec<DeviceGrant>>,
}

/// A part of a device that one instance gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceGrant {
    /// The device's id.
    pub device: String,
    /// The share of the device, in 1/10,000.
    pub share: u32,
    /// Bytes of the device's memory: the weights and the workspace of each model that the instance may open.
    pub memory: u64,
}

/// The CPUs on which the lanes of an instance run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cpus {
    /// Each lane runs on a CPU that it leased. `HeldLeases` of the runtime crate names the CPU.
    Leased,
    /// The only lane runs on the shared CPUs and is limited to this share of one CPU, in 1/10,000.
    Share(u32),
    /// The only lane runs on the shared CPUs.
    Shared,
    /// As many lanes as requested CPUs, all on the shared CPUs. There were too few CPUs to lease, and
    /// `--overcommit` allowed the run.
    Unpinned,
}
