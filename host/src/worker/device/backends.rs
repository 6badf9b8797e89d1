use super::DeviceSpec;
use crate::inference::{Backend, InferenceError};

/// The backends that this program has for a device, the preferred one first. Called in the device's process while it can
/// still read files, so that libraries can be opened; no model has been seen then.
///
/// # Errors
/// A library that is missing or broken; no backend was built in for such a device.
pub fn backends(spec: &DeviceSpec) -> Result<Vec<Box<dyn Backend>>, InferenceError> {
    Err(InferenceError::Unsupported(format!("device \"{}\": this program has no backend for it", spec.name)))
}
