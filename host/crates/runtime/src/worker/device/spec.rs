use std::ffi::OsString;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use sage_machine::cgroup::{CgroupError, Cgroups, Group, GroupLimits};
use sage_plan::config::BackendChoice;

/// A device that a process of its own drives, and what that process may have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceSpec {
    /// What it is called in messages, and its group.
    pub name: String,
    /// What it is.
    pub hardware: Hardware,
    /// What its models run with where they do not say.
    pub backend: BackendChoice,
    /// How many runs may be under way at a time; at least 1.
    pub slots: usize,
    /// Threads that one run may use; at least 1.
    pub threads: usize,
    /// Bytes of its memory that all models may take together: what the leases have that they run for; `None` sets no bound. On a CPU device the kernel
    /// holds the process to it.
    pub memory: Option<u64>,
    /// Bytes of the largest file among its models. While one is loaded its bytes are there several times.
    pub largest_model: u64,
    /// Bytes of the machine's own memory that the process of a CUDA device may take; of no meaning for a CPU device.
    pub host_memory: Option<u64>,
    /// ONNX Runtime's library, where a backend needs it.
    pub library: Option<PathBuf>,
}

/// What a device is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hardware {
    /// The machine's processors.
    Cpu,
    /// None: its models are made up. Held like a CPU device.
    Fake,
    /// An NVIDIA device: NVML's UUID of it, or of a MIG instance. It is the only one that the process sees, as number 0.
    Cuda(String),
}

/// What the process needs beside its models and tensors: its program and stacks, the rings of its slots, a library's own pages. Measured: 1 MiB before its first run with a
/// backend that does nothing, by the kernel's count; 66 MiB resident with ONNX Runtime 1.32 and a model of 3 MiB, its library's pages among
/// them.
const OVERHEAD: u64 = 96 << 20;
/// Threads beside those of runs: the main one, the one that watches the leases, and what a backend starts for itself.
const OTHER_THREADS: u64 = 15;
/// How often the bytes of a model's file are there beside its weights while it is loaded: tract held 256 MiB of weights 4.1 times at its highest (the file,
/// parsed, as constants, packed for its kernels).
const WHILE_LOADED: u64 = 4;

impl Hardware {
    /// Whether a vendor's driver does the work, whose threads, files and system calls nobody can list.
    pub(super) fn has_driver(&self) -> bool {
        matches!(self, Self::Cuda(_))
    }
}

impl DeviceSpec {
    /// Bytes of the machine's memory that the process may take.
    #[must_use]
    pub fn process_memory(&self) -> Option<u64> {
        match self.hardware {
            Hardware::Cpu | Hardware::Fake => self.memory.map(|memory| {
                let loading = self.largest_model.saturating_mul(WHILE_LOADED);
                memory.saturating_add(loading).saturating_add(OVERHEAD)
            }),
            Hardware::Cuda(_) => self.host_memory,
        }
    }

    /// Makes a group for it, below those of tenants, with the limits that this machine can hold it to: memory, and processes on a CPU device (a
    /// driver starts as many threads as it likes). Where there are no control groups it is an empty one.
    ///
    /// # Errors
    /// When it cannot be made, or a limit does not hold.
    pub fn group(&self, cgroups: &Cgroups) -> Result<Group, CgroupError> {
        let controls = cgroups.controls();
        let runs = (self.slots as u64).saturating_mul((self.threads as u64).saturating_add(1));
        let limits = GroupLimits {
            memory_max: self.process_memory().filter(|_| controls.memory.available),
            pids_max: Some(runs.saturating_add(OTHER_THREADS))
                .filter(|_| controls.pids.available && !self.hardware.has_driver()),
            ..GroupLimits::default()
        };
        let none = GroupLimits::default();
        cgroups.tenant("sage-devices", &none)?.pipeline(&self.name, &none)?.instance("device", 0, &limits)
    }

    /// What its process finds in its environment.
    pub(super) fn environment(&self) -> Vec<(&'static str, OsString)> {
        let Hardware::Cuda(uuid) = &self.hardware else { return Vec::new() };
        // Where CUDA's own libraries lie; read by the loader when the process starts, and never again.
        let libraries = std::env::var_os("LD_LIBRARY_PATH").map(|path| ("LD_LIBRARY_PATH", path));
        [("CUDA_VISIBLE_DEVICES", OsString::from(uuid)), ("CUDA_CACHE_DISABLE", "1".into())]
            .into_iter()
            .chain(libraries)
            .collect()
    }
}
