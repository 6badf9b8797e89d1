use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::link::{FarEnd, Link};

/// The far end of a link, as descriptor numbers in the setup message of the process that inherits them.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct LinkSetup {
    own: RawFd,
    peer: RawFd,
    doorbell: RawFd,
    peer_doorbell: RawFd,
}

impl LinkSetup {
    /// The numbers of an end's descriptors.
    pub fn of(end: &FarEnd) -> Self {
        Self {
            own: end.own.as_raw_fd(),
            peer: end.peer.as_raw_fd(),
            doorbell: end.doorbell.as_raw_fd(),
            peer_doorbell: end.peer_doorbell.as_raw_fd(),
        }
    }

    /// All descriptors, for a process to inherit.
    pub fn descriptors(&self) -> [RawFd; 4] {
        [self.own, self.peer, self.doorbell, self.peer_doorbell]
    }

    /// Opens the link in the process that inherited the descriptors.
    ///
    /// # Errors
    /// A descriptor number belongs to a standard stream, or a file cannot be mapped.
    ///
    /// # Safety
    /// The descriptors were opened for this link of this process, and nothing else owns them.
    pub unsafe fn open(&self, spin: Duration) -> io::Result<Link> {
        if self.descriptors().iter().any(|&descriptor| descriptor < 3) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a link without descriptors"));
        }
        // SAFETY: the caller upholds the contract of this function.
        let [own, peer, doorbell, peer_doorbell] =
            self.descriptors().map(|descriptor| unsafe { OwnedFd::from_raw_fd(descriptor) });
        Link::far(FarEnd { own, peer, doorbell, peer_doorbell }, spin)
    }
}
