use std::ffi::OsString;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use sage_machine::cgroup::{CgroupError, Cgroups, Group, GroupLimits};
use sage_plan::config::{BackendChoice, DeviceKind};

/// A device that a separate process drives, and the limits of that process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceSpec {
    /// The device's name in messages, and the name of its cgroup.
    pub name: String,
    /// Kind of the device. The process of a CUDA device sees only this device, as number 0.
    pub kind: DeviceKind,
    /// The backend of models that do not name one.
    pub backend: BackendChoice,
    /// Maximum runs at a time; at least 1.
    pub slots: usize,
    /// Maximum threads of one run; at least 1.
    pub threads: usize,
    /// Maximum bytes of the device's memory for all models together: the sum over the leases that the process
    /// runs for. `None` means no limit. On a CPU device the kernel enforces this limit.
    pub memory: Option<u64>,
    /// Bytes of the largest model file. During its load, its bytes are in memory several times.
    pub largest_model: u64,
    /// Maximum bytes of the machine's own memory for the process of a CUDA device. Ignored for a CPU device.
    pub host_memory: Option<u64>,
    /// The ONNX Runtime library, if a backend needs it.
    pub library: Option<PathBuf>,
}

/// Bytes that the process needs in addition to its models and tensors: program and stacks, rings of its slots,
/// pages of a library. Measured: 1 MiB before the first run with a backend that does nothing, by the kernel's
/// count; 66 MiB resident with ONNX Runtime 1.32 and a model of 3 MiB, including the pages of the library.
const OVERHEAD: u64 = 96 << 20;
/// Threads in addition to those of runs: the main thread, the thread that watches the leases, and threads that
/// a backend starts for itself.
const OTHER_THREADS: u64 = 15;
/// Number of copies of a model file in memory, in addition to its weights, during its load. At its peak, tract
/// held 256 MiB of weights 4.1 times (the file, parsed, as constants, packed for its kernels).
const WHILE_LOADED: u64 = 4;

impl DeviceSpec {
    /// Maximum bytes of the machine's memory for the process.
    #[must_use]
    pub fn process_memory(&self) -> Option<u64> {
        match self.kind {
            DeviceKind::Cpu { .. } | DeviceKind::Fake { .. } => self.memory.map(|memory| {
                let loading = self.largest_model.saturating_mul(WHILE_LOADED);
                memory.saturating_add(loading).saturating_add(OVERHEAD)
            }),
            DeviceKind::Cuda { .. } => self.host_memory,
        }
    }

    /// Makes a cgroup for the process next to those of tenants, with the limits that this machine can enforce.
    /// The limits are memory, and the number of processes on a CPU device (a driver starts any number of
    /// threads). Without control groups, the result is an empty group.
    ///
    /// # Errors
    /// The cgroup cannot be made, or a limit does not hold.
    pub fn group(&self, cgroups: &Cgroups) -> Result<Group, CgroupError> {
        let controls = cgroups.controls();
        let runs = (self.slots as u64).saturating_mul((self.threads as u64).saturating_add(1));
        let limits = GroupLimits {
            memory_max: self.process_memory().filter(|_| controls.memory.available),
            pids_max: Some(runs.saturating_add(OTHER_THREADS))
                .filter(|_| controls.pids.available && !self.kind.has_driver()),
            ..GroupLimits::default()
        };
        let none = GroupLimits::default();
        cgroups.tenant("sage-devices", &none)?.pipeline(&self.name, &none)?.instance("device", 0, &limits)
    }

    /// The environment of the process.
    pub(super) fn environment(&self) -> Vec<(&'static str, OsString)> {
        let DeviceKind::Cuda { uuid } = &self.kind else { return Vec::new() };
        // The path of CUDA's own libraries. The loader reads it once, when the process starts.
        let libraries = std::env::var_os("LD_LIBRARY_PATH").map(|path| ("LD_LIBRARY_PATH", path));
        [("CUDA_VISIBLE_DEVICES", OsString::from(uuid)), ("CUDA_CACHE_DISABLE", "1".into())]
            .into_iter()
            .chain(libraries)
            .collect()
    }
}
