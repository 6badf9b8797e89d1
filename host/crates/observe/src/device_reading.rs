use std::collections::BTreeMap;
use std::sync::Arc;

use super::ModelCounters;

/// Reads what a device does.
pub trait DeviceReading: Send + Sync {
    /// The numbers of this moment.
    fn read(&self) -> DeviceNumbers;
}

/// What a device does.
#[derive(Debug, Clone, Default)]
pub struct DeviceNumbers {
    /// Bytes of its memory in use, where that can be told.
    pub memory_used: Option<u64>,
    /// Calls that wait for it.
    pub waiting: u64,
    /// Nanoseconds that its threads waited for other runs' turns on it; `None` where it takes none.
    pub turn_wait_nanoseconds: Option<u64>,
    /// Leases of this process on it that have not ended, by state.
    pub leases: BTreeMap<&'static str, u64>,
    /// Leases of this process on it that have ended, by how.
    pub ended: BTreeMap<&'static str, u64>,
    /// Its models, by name.
    pub models: Vec<(String, Arc<ModelCounters>)>,
}
