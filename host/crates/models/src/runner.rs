use std::fmt;
use std::time::{Duration, Instant};

use super::{InferenceError, ModelFacts, Tensor};
use sage_plan::ModelSpec;

/// The place where one device's models run: threads of this process, or a process of the device's own. All
/// use of a [`super::Backend`] goes through a runner.
///
/// As many threads as there are slots call it at once.
pub trait Runner: Send + Sync + fmt::Debug {
    /// Largest number of runs in flight at a time, at least 1.
    fn slots(&self) -> usize;

    /// Loads a model under its name, before its first run. A second load of the same name does nothing.
    ///
    /// # Errors
    /// The errors of [`super::Backend::load`]; the file is not the declared one; the deadline.
    fn load(&self, model: &ModelSpec, until: Instant) -> Result<ModelFacts, InferenceError>;

    /// Runs a loaded model and waits for its result. Inputs must be in the order of the facts and already
    /// checked.
    ///
    /// # Errors
    /// The errors of [`super::LoadedModel::run`]. [`InferenceError::Deadline`] if the run was abandoned at
    /// `until`. The slot may still be in use then; the next call waits for it inside the runner.
    fn run(&self, model: &str, inputs: Vec<Tensor>, until: Instant) -> Result<RunAnswer, InferenceError>;

    /// Waits after a run without a result until the device is ready for another run in its slot, or has
    /// failed for good, at most until `until`. With threads of this process, a run has ended when
    /// [`Runner::run`] returns.
    fn recover(&self, _until: Instant) {}

    /// Number of events that lost all running calls at once. The error of each call does not matter. `None`
    /// if that cannot happen.
    fn losses(&self) -> Option<u64> {
        None
    }

    /// Bytes of device memory in use now, if known.
    fn memory_used(&self) -> Option<u64>;

    /// Ends running calls and frees the device. Returns when the device is really free, or when nothing here
    /// can free it.
    fn close(&self);

    /// Extends the runner's leases to this time since the machine's start. A process of the device's own ends
    /// itself at that time, so a stopped host does not keep the device. Threads stop with the host, so they
    /// need nothing.
    fn keep_until(&self, _since_boot: Duration) {}

    /// Ends all running calls of all leases, and continues with later calls. Does not block. Without effect
    /// for threads of this process, which cannot be interrupted.
    fn abandon(&self, _why: &str) {}

    /// Frees the resources of an ended lease, while the device serves other leases: the given models, which
    /// no other lease may open, and then the lease's lock ([`super::LeaseLocks`]). Waits for a free slot.
    ///
    /// # Errors
    /// The errors of [`Runner::run`]. After an error the resources may not have been freed.
    fn forget(&self, _lease: u64, _models: &[String], _until: Instant) -> Result<(), InferenceError> {
        Ok(())
    }

    /// The reason why it will never run anything again, if it has failed for good.
    fn failed(&self) -> Option<InferenceError> {
        None
    }
}

/// The result of one run.
#[derive(Debug, Clone, PartialEq)]
pub struct RunAnswer {
    /// The outputs, in the order of the facts.
    pub outputs: Vec<Tensor>,
    /// Time of the run in the backend.
    pub wall: Duration,
    /// CPU time of the run, summed over all its threads as far as it is known.
    pub cpu: Duration,
}
