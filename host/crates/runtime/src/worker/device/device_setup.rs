use std::os::fd::RawFd;

use serde::{Deserialize, Serialize};

use super::DeviceSpec;
use sage_process::LinkSetup;

/// What a device's process is told on its standard input, as JSON.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct DeviceSetup {
    pub(super) spec: DeviceSpec,
    /// One for each slot.
    pub(super) links: Vec<LinkSetup>,
    /// Locks that stay taken for as long as the process has them open: others see by them that the device is in use.
    pub(super) locks: Vec<LeaseLock>,
    /// Memory that says until when leases are kept.
    pub(super) kept: RawFd,
    /// Bytes of private memory that the process may have, where no group of the kernel's holds it to that.
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
