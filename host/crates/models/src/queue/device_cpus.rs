use sage_machine::{CpuSet, ResourceError, SharedCpus, SharedSeat, pin_current_thread};

/// The CPUs for a device's threads. Threads that a backend starts when it loads a model begin on the CPUs of
/// the loading thread.
#[derive(Debug, Clone)]
pub enum DeviceCpus {
    /// CPUs that only this device uses.
    Own(CpuSet),
    /// CPUs that are not leased by lanes.
    Shared(SharedCpus),
}

impl DeviceCpus {
    /// Binds the calling thread until the seat is dropped.
    ///
    /// # Errors
    /// The thread cannot be bound.
    pub(super) fn join(&self) -> Result<Option<SharedSeat>, ResourceError> {
        match self {
            Self::Own(cpus) => pin_current_thread(cpus).map(|_| None),
            Self::Shared(shared) => shared.join().map(Some),
        }
    }
}
