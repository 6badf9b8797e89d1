use std::fmt;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::{Device, InferenceError, Runner};
use sage_machine::CpuSet;
use sage_plan::config::HostSettings;

/// Starts a process that runs the models of a device.
pub trait OpenDevice: Send + Sync + fmt::Debug {
    /// Opens a device for one run of a pipeline. Loads no model.
    ///
    /// # Errors
    /// The reason why the device cannot be opened. Nothing is left of the attempt.
    fn open(&self, order: DeviceRequest<'_>) -> Result<Arc<dyn Runner>, InferenceError>;
}

/// The locks that show to other runs that leases on a device are in use, even after this process has ended.
pub trait LeaseLocks: Send + Sync + fmt::Debug {
    /// Takes the locks of all leases that this run holds on the device, with their tokens. A process that is
    /// about to start and drive the device inherits the locks, and this process then closes them. Waits for
    /// the ledger lock.
    ///
    /// # Errors
    /// No lease is held any more, or a lock cannot be taken.
    fn take(&self) -> Result<Vec<(u64, OwnedFd)>, InferenceError>;
}

/// The facts that are needed to open a device.
pub struct DeviceRequest<'a> {
    /// The device.
    pub device: &'a Device,
    /// Path of ONNX Runtime's library, if `host.toml` gives it.
    pub library: Option<&'a Path>,
    /// The other settings in `host.toml`.
    pub settings: &'a HostSettings,
    /// The CPUs for its threads. `None` means all CPUs of this process.
    pub cpus: Option<CpuSet>,
    /// Bytes of the device's memory that this run's leases on it have together.
    pub memory: u64,
    /// Bytes of the largest file among the models that may be loaded on the device.
    pub largest_model: u64,
    /// The locks of this run's leases on the device. `None` if the device is opened without a lease.
    pub locks: Option<Arc<dyn LeaseLocks>>,
    /// Time since the machine's start at which the leases expire without a renewal ([`Runner::keep_until`]).
    /// [`Duration::MAX`] if there are no leases.
    pub kept_until: Duration,
}
