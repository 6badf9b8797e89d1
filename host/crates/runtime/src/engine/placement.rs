use std::time::Duration;

use sage_machine::{
    CpuSet, CpuShare, LeasedSeat, LeasedThreads, ResourceError, SharedCpus, SharedSeat, pin_current_thread,
};
use sage_sandbox::Pacer;

/// Where a lane's thread runs.
#[derive(Clone)]
pub(super) enum Placement {
    /// On a CPU of its own.
    Leased {
        /// Which.
        cpu: CpuSet,
        /// Where that is noted, and for whom.
        threads: LeasedThreads,
        operator: String,
        instance: u32,
    },
    /// Among the CPUs that nobody leased.
    Shared(SharedCpus),
}

impl Placement {
    /// Puts the calling thread there, until the seat is dropped.
    pub(super) fn take(&self) -> Result<Seat, ResourceError> {
        match self {
            Self::Leased { cpu, threads, operator, instance } => {
                pin_current_thread(cpu)?;
                Ok(Seat::Leased(threads.thread(operator, *instance, cpu)))
            }
            Self::Shared(shared) => shared.join().map(Seat::Shared),
        }
    }
}

/// A thread's place, until it is dropped.
pub(super) enum Seat {
    Leased(#[expect(dead_code, reason = "held for its end")] LeasedSeat),
    Shared(#[expect(dead_code, reason = "held for its end")] SharedSeat),
}

/// A CPU share as the sandbox asks for it.
pub struct SharePacer(pub CpuShare);

impl Pacer for SharePacer {
    fn pace(&mut self, elsewhere: Duration) -> Option<Duration> {
        self.0.pace_with(elsewhere)
    }
}
