use std::collections::BTreeMap;
use std::sync::Arc;

use super::ModelCounters;

/// Reads the numbers of a device.
pub trait DeviceReading: Send + Sync {
    /// The current numbers.
    fn read(&self) -> DeviceNumbers;
}

/// The numbers of a device.
#[derive(Debug, Clone, Default)]
pub struct DeviceNumbers {
    /// Bytes of device memory in use, if they are known.
    pub memory_used: Option<u64>,
    /// Number of calls that wait for the device.
    pub waiting: u64,
    /// Nanoseconds that the device's threads waited for other runs' turns; `None` if the device has no turns.
    pub turn_wait_nanoseconds: Option<u64>,
    /// Number of this process's leases on the device that have not ended, by state.
    pub leases: BTreeMap<&'static str, u64>,
    /// Number of this process's leases on the device that have ended, by last state.
    pub ended: BTreeMap<&'static str, u64>,
    /// Counters of the device's models, by name.
    pub models: Vec<(String, Arc<ModelCounters>)>,
}
