use std::os::fd::RawFd;

use serde::{Deserialize, Serialize};

use super::DeviceSpec;
use sage_process::LinkSetup;

/// The setup message of a device's process, as JSON on its standard input.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct DeviceSetup {
    pub(super) spec: DeviceSpec,
    /// A link for each slot.
    pub(super) links: Vec<LinkSetup>,
    /// Locks that stay taken as long as the process has them open. They show other hosts that the device is in
    /// use.
    pub(super) locks: Vec<LeaseLock>,
    /// Shared memory with the time until which the leases are kept.
    pub(super) kept: RawFd,
    /// Maximum bytes of private memory of the process, if no cgroup enforces a limit.
    pub(super) data_bytes: Option<u64>,
}

/// The lock of a lease.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct LeaseLock {
    pub(super) lease: u64,
    pub(super) descriptor: RawFd,
}

impl DeviceSetup {
    /// All descriptors that the process keeps.
    pub(super) fn descriptors(&self) -> Vec<RawFd> {
        let locks = self.locks.iter().map(|lock| lock.descriptor);
        self.links.iter().flat_map(LinkSetup::descriptors).chain(locks).chain([self.kept]).collect()
    }
}
