use super::DeviceSpec;
use sage_models::{Backend, Fake, InferenceError, cpu_backends, cuda_backends};
use sage_plan::config::DeviceKind;

/// The backends of this program for a device, in order of preference. This function is called in the device's
/// process before it gives up its last rights, so that libraries can be opened. The process has not read a
/// model at that time.
///
/// # Errors
/// A library is missing or broken; this program has no backend for such a device.
pub fn backends(spec: &DeviceSpec) -> Result<Vec<Box<dyn Backend>>, InferenceError> {
    let library = spec.library.as_deref();
    match spec.kind {
        DeviceKind::Cpu { .. } => cpu_backends(spec.backend, library),
        DeviceKind::Fake { .. } => Ok(vec![Box::new(Fake::in_its_own_process())]),
        DeviceKind::Cuda { .. } => cuda_backends(spec.memory, library),
    }
}
