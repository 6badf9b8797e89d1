use std::sync::Arc;

use super::ProcessIsolation;
use super::device::{DeviceHome, DeviceProcess, DeviceSpec};
use sage_models::{DeviceRequest, InferenceError, OpenDevice, Runner};

/// Maximum bytes of the machine's own memory for a CUDA device's process. Its context, pinned buffers and
/// libraries take one or two GiB.
const CUDA_HOST_MEMORY: u64 = 8 << 30;

impl OpenDevice for ProcessIsolation {
    fn open(&self, order: DeviceRequest<'_>) -> Result<Arc<dyn Runner>, InferenceError> {
        let device = order.device;
        let spec = DeviceSpec {
            name: device.id.clone(),
            kind: device.kind.clone(),
            backend: device.backend(),
            slots: device.slots(),
            threads: device.threads(),
            memory: Some(order.memory),
            largest_model: order.largest_model,
            host_memory: device.kind.has_driver().then_some(CUDA_HOST_MEMORY),
            // The device process does not inherit our environment.
            library: order
                .library
                .map(ToOwned::to_owned)
                .or_else(|| std::env::var_os("ORT_DYLIB_PATH").map(Into::into)),
        };
        let lost = |error: &dyn std::fmt::Display| InferenceError::DeviceLost(error.to_string());
        let group = spec.group(self.cgroups(order.settings)).map_err(|error| lost(&error))?;
        let home =
            DeviceHome { group: Some(group), cpus: order.cpus, locks: order.locks, kept_until: order.kept_until };
        let process = DeviceProcess::new(self.program(), spec, home).map_err(|error| lost(&error))?;
        Ok(Arc::new(process))
    }
}
