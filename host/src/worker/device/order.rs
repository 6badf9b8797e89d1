use std::os::fd::RawFd;

use serde::{Deserialize, Serialize};

use super::super::link_order::LinkOrder;
use super::DeviceSpec;

/// What a device's process is told on its standard input, as JSON.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) spec: DeviceSpec,
    /// One for each slot.
    pub(super) links: Vec<LinkOrder>,
    /// Descriptors that only have to stay open for as long as the process lives: others see by them that the device is in use.
    pub(super) busy: Vec<RawFd>,
    /// Bytes of private memory that the process may have, where no group of the kernel's holds it to that.
    pub(super) data_bytes: Option<u64>,
}

impl Order {
    /// All descriptors that the process keeps.
    pub(super) fn descriptors(&self) -> Vec<RawFd> {
        self.links.iter().flat_map(LinkOrder::descriptors).chain(self.busy.iter().copied()).collect()
    }
}
