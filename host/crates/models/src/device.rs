use serde::Serialize;

use sage_machine::{CpuSet, DeviceShare};
use sage_plan::config::{self, BackendChoice, DeviceKind, Placement};

/// What models run on, as it is on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its name in `host.toml`, or the UUID of one that was discovered. The same in all processes that share the device.
    pub id: String,
    /// What it is.
    pub kind: DeviceKind,
    /// What its maker calls it, where somebody knows.
    pub model: Option<String>,
    /// Bytes that the models of all leases on it may take together.
    pub memory: u64,
    /// Whether it is a MIG instance.
    pub is_mig: bool,
    /// Whether `host.toml` lets it serve `num_gpus`.
    pub counts_as_gpu: bool,
    /// Where its models run.
    pub placement: Placement,
    /// Why it cannot be used, if it cannot.
    pub trouble: Option<String>,
}

/// What keeps those who use a device at the same time apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceTier {
    /// One lease has all of it. What is no sage-host may use it all the same.
    Exclusive,
    /// A part of a GPU with memory, caches and processors of its own: its neighbours cannot slow it down.
    Mig,
    /// Several leases take turns by their shares, or everything else on the machine uses the same memory and caches.
    Shared,
}

impl Device {
    /// All of a device, in the unit of shares.
    pub const WHOLE: u32 = 10_000;

    /// One that `host.toml` declares, as far as that tells.
    pub(super) fn declared(device: &config::Device) -> Self {
        Self {
            id: device.name.clone(),
            kind: device.kind.clone(),
            model: None,
            memory: device.memory.unwrap_or(match device.kind {
                DeviceKind::Cuda { .. } => 0,
                DeviceKind::Cpu { .. } | DeviceKind::Fake { .. } => config::Device::DEFAULT_MEMORY,
            }),
            is_mig: false,
            counts_as_gpu: device.counts_as_gpu,
            placement: device.placement,
            trouble: None,
        }
    }

    /// `cpu`, `cuda` or `fake`.
    #[must_use]
    pub fn kind_name(&self) -> &'static str {
        match self.kind {
            DeviceKind::Cpu { .. } => "cpu",
            DeviceKind::Cuda { .. } => "cuda",
            DeviceKind::Fake { .. } => "fake",
        }
    }

    /// Whether it may be given to who asks for `num_gpus`, and can be used.
    #[must_use]
    pub fn serves_gpus(&self) -> bool {
        self.counts_as_gpu && self.trouble.is_none()
    }

    /// Runs that may be under way at a time.
    #[must_use]
    pub fn slots(&self) -> usize {
        match self.kind {
            DeviceKind::Cpu { slots, .. } | DeviceKind::Fake { slots } => slots as usize,
            // Its own queue takes what comes; two keep it busy while answers are copied.
            DeviceKind::Cuda { .. } => 2,
        }
    }

    /// Threads of one run.
    #[must_use]
    pub fn threads(&self) -> usize {
        match self.kind {
            DeviceKind::Cpu { threads, .. } => threads as usize,
            DeviceKind::Cuda { .. } | DeviceKind::Fake { .. } => 1,
        }
    }

    /// CPUs that its threads have to themselves; `None` where it has none.
    #[must_use]
    pub fn cpus(&self) -> Option<CpuSet> {
        match &self.kind {
            DeviceKind::Cpu { cpus, .. } => cpus.as_ref().map(|cpus| cpus.iter().copied().collect()),
            DeviceKind::Cuda { .. } | DeviceKind::Fake { .. } => None,
        }
    }

    /// What its models run with where they do not say.
    #[must_use]
    pub fn backend(&self) -> BackendChoice {
        match self.kind {
            DeviceKind::Cpu { backend: BackendChoice::Auto, .. } => {
                if cfg!(feature = "tract") {
                    BackendChoice::Tract
                } else {
                    BackendChoice::Onnxruntime
                }
            }
            DeviceKind::Cpu { backend, .. } => backend,
            DeviceKind::Cuda { .. } => BackendChoice::Onnxruntime,
            DeviceKind::Fake { .. } => BackendChoice::Fake,
        }
    }

    /// How well a lease on so much of it is kept apart from others.
    #[must_use]
    pub fn tier_of(&self, share: u32) -> DeviceTier {
        match self.kind {
            DeviceKind::Cuda { .. } if share < Self::WHOLE => DeviceTier::Shared,
            DeviceKind::Cuda { .. } if self.is_mig => DeviceTier::Mig,
            DeviceKind::Cuda { .. } => DeviceTier::Exclusive,
            DeviceKind::Cpu { .. } | DeviceKind::Fake { .. } => DeviceTier::Shared,
        }
    }

    /// How well those who hold it now are kept apart; of one that nobody holds, how well a whole lease would be.
    #[must_use]
    pub fn tier(&self, shares: &[DeviceShare]) -> DeviceTier {
        let held = shares.iter().filter(|share| share.claim.device == self.id && share.counts());
        held.map(|share| self.tier_of(share.claim.share)).max().unwrap_or_else(|| self.tier_of(Self::WHOLE))
    }

    /// Why a build without its library cannot use it.
    pub(super) fn missing_in_build(&self) -> Option<&'static str> {
        match self.backend() {
            BackendChoice::Tract if !cfg!(feature = "tract") => Some("this build has no tract (feature \"tract\")"),
            BackendChoice::Onnxruntime if !cfg!(feature = "onnxruntime") => {
                Some("this build has no ONNX Runtime (feature \"onnxruntime\")")
            }
            _ => None,
        }
    }
}

impl DeviceTier {
    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Exclusive => "exclusive",
            Self::Mig => "mig",
            Self::Shared => "shared",
        }
    }

    /// What the word means.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Exclusive => "one lease at a time has all of it; programs that are no sage-host may use it too",
            Self::Mig => {
                "a part of a GPU with processors, caches and memory of its own: its neighbours do not slow it down"
            }
            Self::Shared => {
                "leases take turns by their shares; nothing divides memory bandwidth and caches between them, or holds a model's \
                 memory to its lease's but the backend"
            }
        }
    }
}
