use std::fmt;

use serde::{Deserialize, Serialize};

use super::{CpuSet, HeldBy, HeldCpu, Holder};

/// The part of one device that one lease holds, as written by the run. A [`super::Claim`] has a list of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceClaim {
    /// Id of the device.
    pub device: String,
    /// Fencing token of the lease, unique on the machine. A later lease has a higher token.
    pub token: u64,
    /// Name of the operator that holds the lease.
    pub operator: String,
    /// Number of the operator's instance.
    pub instance: u32,
    /// Share of the device, in 1/10,000.
    pub share: u32,
    /// Bytes of the device's memory.
    pub memory: u64,
    /// The CPUs that the device's threads are bound to, exclusively. Empty if these threads run on the CPUs
    /// that are not leased.
    #[serde(default, skip_serializing_if = "CpuSet::is_empty")]
    pub cpus: CpuSet,
    /// State of the lease, as its holder sees it.
    pub state: ShareState,
}

/// The state of a share of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ShareState {
    /// The lease is held.
    Held,
    /// The lease is being revoked: running work is in its grace period, or has not ended yet.
    Draining,
    /// The lease is over, and the device's process still uses the device.
    Busy,
    /// The holder did not renew the lease in time. The share no longer counts.
    Expired,
    /// The device permanently stopped working for the lease. The share no longer counts.
    DeviceLost,
}

/// A share of a device as a reader of the ledger sees it: its holder, and whether it counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceShare {
    /// Number of the process, in its own PID namespace.
    pub pid: u32,
    /// Name of the pipeline.
    pub pipeline: String,
    /// The tenant that the run belongs to.
    pub tenant: String,
    /// The share, with its present state.
    pub claim: DeviceClaim,
}

/// The sum of the shares that are held of one device.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DeviceUse {
    /// Share of the device, in 1/10,000.
    pub share: u32,
    /// Bytes of the device's memory.
    pub memory: u64,
}

impl DeviceShare {
    /// The CPUs that the device holds exclusively while the share counts.
    pub(super) fn held_cpus(&self) -> impl Iterator<Item = HeldCpu> + '_ {
        let Self { pid, pipeline, claim, .. } = self;
        let holder = Holder {
            pid: *pid,
            pipeline: pipeline.clone(),
            operator: claim.operator.clone(),
            instance: claim.instance,
        };
        let cpus = claim.cpus.iter().filter(|_| self.counts());
        cpus.map(move |cpu| HeldCpu { cpu, holder: Some(holder.clone()), by: HeldBy::Lock(None) })
    }
}

impl ShareState {
    /// The state's name in output.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Draining => "draining",
            Self::Busy => "busy",
            Self::Expired => "expired",
            Self::DeviceLost => "device-lost",
        }
    }
}

impl DeviceShare {
    /// True if the share is not available to others.
    #[must_use]
    pub fn counts(&self) -> bool {
        !matches!(self.claim.state, ShareState::Expired | ShareState::DeviceLost)
    }
}

/// Names the holder: `lease 7 of process 9 (pipeline "other", operator "embed", instance 0)`.
impl fmt::Display for DeviceShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pid, pipeline, claim: DeviceClaim { token, operator, instance, .. }, .. } = self;
        write!(f, "lease {token} of process {pid} (pipeline {pipeline:?}, operator {operator:?}, instance {instance})")
    }
}

impl DeviceUse {
    /// The sum of the shares of `device` among `shares` that count.
    #[must_use]
    pub fn of(device: &str, shares: &[DeviceShare]) -> Self {
        let counted = shares.iter().filter(|share| share.claim.device == device && share.counts());
        counted.fold(Self::default(), |sum, share| sum.and(share.claim.share, share.claim.memory))
    }

    /// The sum with one more share added.
    #[must_use]
    pub fn and(self, share: u32, memory: u64) -> Self {
        Self { share: self.share.saturating_add(share), memory: self.memory.saturating_add(memory) }
    }
}
