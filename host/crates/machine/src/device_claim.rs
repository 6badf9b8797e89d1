use std::fmt;

use serde::{Deserialize, Serialize};

use super::{CpuSet, HeldBy, HeldCpu, Holder};

/// What one lease has of one device, as its run wrote it down: [`super::Claim`] has a list of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceClaim {
    /// The device.
    pub device: String,
    /// Tells the lease apart from every other one of the machine; a later one's is higher.
    pub token: u64,
    /// Whose: the operator.
    pub operator: String,
    /// Which of the operator's instances.
    pub instance: u32,
    /// How much of the device, in 1/10,000.
    pub share: u32,
    /// Bytes of its memory.
    pub memory: u64,
    /// The CPUs that the device's threads are bound to, which are nobody else's; none where they go wherever nobody leased a CPU.
    #[serde(default, skip_serializing_if = "CpuSet::is_empty")]
    pub cpus: CpuSet,
    /// How it stands, as its holder sees it.
    pub state: ShareState,
}

/// Why a share of a device is not free.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ShareState {
    /// It is held.
    Held,
    /// It is being taken away: what runs has its grace, or has not ended yet.
    Draining,
    /// Its lease is over, and the device's process has not let go of the device.
    Busy,
    /// Its holder did not keep it alive: it counts no more.
    Expired,
    /// Its device does nothing for it any more, for good: it counts no more.
    DeviceLost,
}

/// A share of a device as whoever looks sees it: whose it is, and whether it counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceShare {
    /// The process, in its own PID namespace.
    pub pid: u32,
    /// The pipeline.
    pub pipeline: String,
    /// On whose behalf.
    pub tenant: String,
    /// What it is, with the state as it is now.
    pub claim: DeviceClaim,
}

/// What is held of one device.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DeviceUse {
    /// In 1/10,000.
    pub share: u32,
    /// Bytes.
    pub memory: u64,
}

impl DeviceShare {
    /// The CPUs that its device keeps from everybody else while it counts.
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
    /// The word for it.
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
    /// Whether nobody else can have it.
    #[must_use]
    pub fn counts(&self) -> bool {
        !matches!(self.claim.state, ShareState::Expired | ShareState::DeviceLost)
    }
}

/// Whose it is: `lease 7 of process 9 (pipeline "other", operator "embed", instance 0)`.
impl fmt::Display for DeviceShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pid, pipeline, claim: DeviceClaim { token, operator, instance, .. }, .. } = self;
        write!(f, "lease {token} of process {pid} (pipeline {pipeline:?}, operator {operator:?}, instance {instance})")
    }
}

impl DeviceUse {
    /// All that counts of `device` among `shares`.
    #[must_use]
    pub fn of(device: &str, shares: &[DeviceShare]) -> Self {
        let counted = shares.iter().filter(|share| share.claim.device == device && share.counts());
        counted.fold(Self::default(), |sum, share| sum.and(share.claim.share, share.claim.memory))
    }

    /// With so much more.
    #[must_use]
    pub fn and(self, share: u32, memory: u64) -> Self {
        Self { share: self.share.saturating_add(share), memory: self.memory.saturating_add(memory) }
    }
}
