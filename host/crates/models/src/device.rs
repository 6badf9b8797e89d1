use serde::Serialize;

use sage_machine::{CpuSet, DeviceShare};
use sage_plan::config::{self, BackendChoice, DeviceKind, Placement};

/// A device on which models run, as found on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its name in `host.toml`, or the UUID of a discovered device. The id is the same in all processes that
    /// share the device.
    pub id: String,
    /// The kind of the device.
    pub kind: DeviceKind,
    /// The maker's name for the model of the device, if known.
    pub model: Option<String>,
    /// Bytes that the models of all leases on the device may use together.
    pub memory: u64,
    /// Whether the device is a MIG instance.
    pub is_mig: bool,
    /// Whether `host.toml` lets the device serve `num_gpus`.
    pub counts_as_gpu: bool,
    /// Whether its models run in this process or in another.
    pub placement: Placement,
    /// The reason why the device cannot be used, if there is one.
    pub trouble: Option<String>,
}

/// The isolation between simultaneous users of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceTier {
    /// A single lease has the whole device. Programs other than sage-host may still use it.
    Exclusive,
    /// A part of a GPU with its own memory, caches and processors. Its neighbours cannot slow it down.
    Mig,
    /// Several leases take turns by their shares, or all other programs of the machine use the same memory
    /// and caches.
    Shared,
}

impl Device {
    /// A whole device, in the unit of shares.
    pub const WHOLE: u32 = 10_000;

    /// A device that `host.toml` declares, with the facts that the declaration gives.
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

    /// Whether the device is usable and may be granted for `num_gpus`.
    #[must_use]
    pub fn serves_gpus(&self) -> bool {
        self.counts_as_gpu && self.trouble.is_none()
    }

    /// Number of runs that may be in flight at a time.
    #[must_use]
    pub fn slots(&self) -> usize {
        match self.kind {
            DeviceKind::Cpu { slots, .. } | DeviceKind::Fake { slots } => slots as usize,
            // The device has a queue of its own. Two runs keep it busy while results are copied.
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

    /// CPUs that only the device's threads use. `None` if the device has no such CPUs.
    #[must_use]
    pub fn cpus(&self) -> Option<CpuSet> {
        match &self.kind {
            DeviceKind::Cpu { cpus, .. } => cpus.as_ref().map(|cpus| cpus.iter().copied().collect()),
            DeviceKind::Cuda { .. } | DeviceKind::Fake { .. } => None,
        }
    }

    /// The backend for models that do not choose one.
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

    /// The isolation of a lease with this share from other leases.
    #[must_use]
    pub fn tier_of(&self, share: u32) -> DeviceTier {
        match self.kind {
            DeviceKind::Cuda { .. } if share < Self::WHOLE => DeviceTier::Shared,
            DeviceKind::Cuda { .. } if self.is_mig => DeviceTier::Mig,
            DeviceKind::Cuda { .. } => DeviceTier::Exclusive,
            DeviceKind::Cpu { .. } | DeviceKind::Fake { .. } => DeviceTier::Shared,
        }
    }

    /// The isolation between the present holders. For a device without holders, the isolation of a lease on
    /// the whole device.
    #[must_use]
    pub fn tier(&self, shares: &[DeviceShare]) -> DeviceTier {
        let held = shares.iter().filter(|share| share.claim.device == self.id && share.counts());
        held.map(|share| self.tier_of(share.claim.share)).max().unwrap_or_else(|| self.tier_of(Self::WHOLE))
    }

    /// The reason why a build without the device's library cannot use the device.
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
    /// The name of the tier.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Exclusive => "exclusive",
            Self::Mig => "mig",
            Self::Shared => "shared",
        }
    }

    /// The meaning of the tier.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Exclusive => "one lease at a time has the whole device; programs other than sage-host may use it too",
            Self::Mig => {
                "a part of a GPU with processors, caches and memory of its own: its neighbours do not slow it down"
            }
            Self::Shared => {
                "leases take turns by their shares; nothing divides memory bandwidth and caches between them, \
                 and only the backend limits a model's memory"
            }
        }
    }
}
