use std::fmt;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use super::{Device, InferenceError, Runner};
use crate::config::HostSettings;
use crate::resources::CpuSet;

/// Makes the place where a device's models run, where that is a process of its own.
pub trait OpenDevice: Send + Sync + fmt::Debug {
    /// Opens a device for one run of a pipeline. Does not load anything.
    ///
    /// # Errors
    /// What keeps it from being opened; nothing is left of it.
    fn open(&self, order: DeviceOrder<'_>) -> Result<Arc<dyn Runner>, InferenceError>;
}

/// What is to be known of a device to open it.
pub struct DeviceOrder<'a> {
    /// The device.
    pub device: &'a Device,
    /// ONNX Runtime's library, if `host.toml` says where it is.
    pub library: Option<&'a Path>,
    /// What else `host.toml` says.
    pub settings: &'a HostSettings,
    /// Where its threads run; `None`: wherever the process may.
    pub cpus: Option<CpuSet>,
    /// Locked files by which others see that leases are in use, also when this process is gone: to be held open by whatever drives the device.
    pub busy: Vec<OwnedFd>,
}
