use sage_machine::{CpuSet, ResourceError, SharedCpus, SharedSeat, pin_current_thread};

/// Where a device's threads run. Threads that a backend makes for itself when a model is loaded begin where the loading thread is.
#[derive(Debug, Clone)]
pub enum DeviceCpus {
    /// On CPUs of its own.
    Own(CpuSet),
    /// Off the CPUs that lanes have leased.
    Shared(SharedCpus),
}

impl DeviceCpus {
    /// Binds the calling thread, until the seat is dropped.
    ///
    /// # Errors
    /// It cannot be bound.
    pub(super) fn join(&self) -> Result<Option<SharedSeat>, ResourceError> {
        match self {
            Self::Own(cpus) => pin_current_thread(cpus).map(|_| None),
            Self::Shared(shared) => shared.join().map(Some),
        }
    }
}
