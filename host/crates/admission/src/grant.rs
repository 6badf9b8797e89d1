use std::collections::BTreeMap;

use super::Needs;
use sage_machine::{Amounts, CpuSet, EnforcementReport};
use sage_plan::StageId;
use sage_plan::config::TenantName;

/// What every stage of a plan gets. Says yes; holds nothing yet (see [`super::admit`]).
#[derive(Debug, Clone, PartialEq)]
pub struct Grant {
    /// By stage, in the plan's order.
    pub stages: Vec<StageGrant>,
    /// The same for people, with how each is enforced.
    pub ledger: EnforcementReport,
    /// The CPUs that leases are chosen from.
    pub allowed: CpuSet,
    /// How many of them are never leased.
    pub cpus_reserved: u32,
    /// Bytes to which the kernel is to hold all workers of the pipeline together. `None` in threads, and where the kernel cannot.
    pub memory_max: Option<u64>,
    /// What it relies on of what surrounds the run.
    pub needs: Needs,
    /// On whose behalf.
    pub tenant: TenantName,
    /// What is claimed of the machine besides leases.
    pub amounts: Amounts,
}

impl Grant {
    /// The grant of a stage of the plan that it was decided for.
    #[must_use]
    #[expect(clippy::indexing_slicing, reason = "a grant has as many stages as its plan, whose ids these are")]
    pub fn stage(&self, id: StageId) -> &StageGrant {
        &self.stages[id.0]
    }
}

/// What each instance of one stage gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageGrant {
    /// Threads, each with its own copy of the component; 1 for a built-in source or sink.
    pub lanes: u32,
    /// Where they run.
    pub cpus: Cpus,
    /// The share of one CPU to which the kernel is to hold the instance's worker, in 1/10,000. `None` where nothing is asked for, in
    /// threads, and where the kernel cannot: [`Cpus::Share`] is then the lane's own to keep.
    pub cpu_quota: Option<u32>,
    /// Bytes of linear memories, tables and keyed state, all lanes together. `None` for a built-in source or sink, whose memory
    /// is the host's.
    pub memory_cap: Option<u64>,
    /// Bytes to which the kernel is to hold the instance's whole worker. `None` in threads, and where the kernel cannot.
    pub memory_max: Option<u64>,
    /// Processes and threads that the kernel is to let the instance's worker have. `None` as above.
    pub pids_max: Option<u32>,
    /// Bytes that may wait on the instance's inputs together. Without meaning for a stage without inputs.
    pub edge_bytes: u64,
    /// Custom resources that were counted as the instance's, in 1/10,000.
    pub custom: BTreeMap<String, u64>,
    /// By instance, what it gets of devices, one for each device. None of them where it asked for none.
    pub devices: Vec<Vec<DeviceGrant>>,
}

/// A part of a device that one instance gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceGrant {
    /// The device's id.
    pub device: String,
    /// How much of it, in 1/10,000.
    pub share: u32,
    /// Bytes of its memory: for the weights and the workspace of each model that the instance may open.
    pub memory: u64,
}

/// Where the lanes of an instance run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cpus {
    /// Each lane on a CPU that it leased: [`super::HeldLeases`] says which.
    Leased,
    /// The only lane among the shared CPUs, held to this share of one, in 1/10,000.
    Share(u32),
    /// The only lane among the shared CPUs.
    Shared,
    /// As many lanes as CPUs were asked for, all among the shared CPUs: there was nothing to lease, and `--overcommit`
    /// said to run all the same.
    Unpinned,
}
