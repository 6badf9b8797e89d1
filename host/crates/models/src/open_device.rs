use std::fmt;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::{Device, InferenceError, Runner};
use sage_machine::CpuSet;
use sage_plan::config::HostSettings;

/// Makes the place where a device's models run, where that is a process of its own.
pub trait OpenDevice: Send + Sync + fmt::Debug {
    /// Opens a device for one run of a pipeline. Does not load anything.
    ///
    /// # Errors
    /// What keeps it from being opened; nothing is left of it.
    fn open(&self, order: DeviceRequest<'_>) -> Result<Arc<dyn Runner>, InferenceError>;
}

/// The locks by which others see that leases on a device are in use, also when this process is gone.
pub trait LeaseLocks: Send + Sync + fmt::Debug {
    /// Takes the locks of all leases on the device that this run holds, by their tokens, for a process that drives the device and is about to be
    /// started: to be inherited by that, and closed here. Waits for the machine's ledger.
    ///
    /// # Errors
    /// None is held any more; a lock cannot be taken.
    fn take(&self) -> Result<Vec<(u64, OwnedFd)>, InferenceError>;
}

/// What is to be known of a device to open it.
pub struct DeviceRequest<'a> {
    /// The device.
    pub device: &'a Device,
    /// ONNX Runtime's library, if `host.toml` says where it is.
    pub library: Option<&'a Path>,
    /// What else `host.toml` says.
    pub settings: &'a HostSettings,
    /// Where its threads run; `None`: wherever the process may.
    pub cpus: Option<CpuSet>,
    /// Bytes of its memory that this run's leases on it have together.
    pub memory: u64,
    /// Bytes of the largest file among the models that may be loaded on it.
    pub largest_model: u64,
    /// The locks of this run's leases on it; `None` where it is for no lease.
    pub locks: Option<Arc<dyn LeaseLocks>>,
    /// These leases are over at this time since the machine's start unless they are renewed ([`Runner::keep_until`]); [`Duration::MAX`] where
    /// there are none.
    pub kept_until: Duration,
}
