use super::{DeviceSpec, Hardware};
use sage_models::{Backend, Fake, InferenceError, cpu_backends, cuda_backends};

/// The backends that this program has for a device, the preferred one first. Called in the device's process before it gives up its last rights, so that
/// libraries can be opened; no model has been seen then.
///
/// # Errors
/// A library that is missing or broken; no backend was built in for such a device.
pub fn backends(spec: &DeviceSpec) -> Result<Vec<Box<dyn Backend>>, InferenceError> {
    let library = spec.library.as_deref();
    match spec.hardware {
        Hardware::Cpu => cpu_backends(spec.backend, library),
        Hardware::Fake => Ok(vec![Box::new(Fake::in_its_own_process())]),
        Hardware::Cuda(_) => cuda_backends(spec.memory, library),
    }
}
