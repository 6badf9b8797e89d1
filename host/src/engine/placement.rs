use std::time::Duration;

use crate::resources::{CpuSet, CpuShare, ResourceError, SharedCpus, SharedSeat, pin_current_thread};
use crate::sandbox::Pacer;

/// Where a lane's thread runs.
#[derive(Clone)]
pub(super) enum Placement {
    /// On a CPU of its own.
    Leased(CpuSet),
    /// Among the CPUs that nobody leased.
    Shared(SharedCpus),
}

impl Placement {
    /// Puts the calling thread there, until the seat is dropped.
    pub(super) fn take(&self) -> Result<Option<SharedSeat>, ResourceError> {
        match self {
            Self::Leased(cpu) => pin_current_thread(cpu).map(|_| None),
            Self::Shared(shared) => shared.join().map(Some),
        }
    }
}

/// A CPU share as the sandbox asks for it.
pub struct SharePacer(pub CpuShare);

impl Pacer for SharePacer {
    fn pace(&mut self) -> Option<Duration> {
        self.0.pace()
    }
}
