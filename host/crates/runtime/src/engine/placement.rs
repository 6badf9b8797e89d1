use std::time::Duration;

use sage_machine::{
    CpuSet, CpuShare, LeasedSeat, LeasedThreads, ResourceError, SharedCpus, SharedSeat, pin_current_thread,
};
use sage_sandbox::Pacer;

/// The CPUs on which a lane's thread runs.
#[derive(Clone)]
pub(super) enum Placement {
    /// A leased CPU of its own.
    Leased {
        /// The leased CPU.
        cpu: CpuSet,
        /// The record of threads on leased CPUs.
        threads: LeasedThreads,
        operator: String,
        instance: u32,
    },
    /// The CPUs that are not leased.
    Shared(SharedCpus),
}

impl Placement {
    /// Moves the calling thread to these CPUs until the seat is dropped.
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

/// The placement of a thread, which ends when the seat is dropped.
pub(super) enum Seat {
    Leased(#[expect(dead_code, reason = "only its drop matters")] LeasedSeat),
    Shared(#[expect(dead_code, reason = "only its drop matters")] SharedSeat),
}

/// A CPU share that implements the pacer of the sandbox.
pub struct SharePacer(pub CpuShare);

impl Pacer for SharePacer {
    fn pace(&mut self, elsewhere: Duration) -> Option<Duration> {
        self.0.pace_with(elsewhere)
    }
}
