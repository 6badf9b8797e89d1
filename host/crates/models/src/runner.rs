use std::fmt;
use std::time::{Duration, Instant};

use super::{InferenceError, ModelFacts, Tensor};
use sage_plan::ModelSpec;

/// Where one device's models run: threads of this process, or a process of the device's own. The only way to a [`super::Backend`].
///
/// Called by as many threads at once as it has slots.
pub trait Runner: Send + Sync + fmt::Debug {
    /// How many runs may be under way at a time; at least 1.
    fn slots(&self) -> usize;

    /// Loads a model under its name; before the first run of it. Again with the same name: nothing happens.
    ///
    /// # Errors
    /// As [`super::Backend::load`]; a file that is not the declared one; the deadline.
    fn load(&self, model: &ModelSpec, until: Instant) -> Result<ModelFacts, InferenceError>;

    /// Runs a model that was loaded and waits for its answer. Inputs are in the order of the facts, and checked.
    ///
    /// # Errors
    /// As [`super::LoadedModel::run`]. [`InferenceError::Deadline`] where the run could be given up at `until`: whether the slot is free again then is
    /// the runner's affair, and the next call waits for it.
    fn run(&self, model: &str, inputs: Vec<Tensor>, until: Instant) -> Result<RunAnswer, InferenceError>;

    /// Waits after a run without an answer until the device is ready for another in its place, or never will be; at most until `until`. A run in
    /// threads of this process is over when [`Runner::run`] returns.
    fn recover(&self, _until: Instant) {}

    /// How many times everything that ran was lost at once, whatever each run was told; `None` where that cannot happen.
    fn losses(&self) -> Option<u64> {
        None
    }

    /// Bytes of device memory that are in use now, where that can be told.
    fn memory_used(&self) -> Option<u64>;

    /// Ends what runs and gives the device back. Returns when the device really is free, or cannot be made so by anybody here.
    fn close(&self);

    /// The leases that it runs for were renewed until this time since the machine's start. A process of the device's own ends itself then, so that a
    /// host that is stopped does not keep the device; in threads, which stop with the host, nothing is to be done.
    fn keep_until(&self, _since_boot: Duration) {}

    /// Ends what runs at this moment, of whomever, and goes on for the next. Does not wait. Nobody can do that in threads of this process.
    fn abandon(&self, _why: &str) {}

    /// A lease is over, and the device goes on for others: gives back what these models have, which none of those may open, and then the
    /// lease's lock ([`super::LeaseLocks`]). Waits for a free slot.
    ///
    /// # Errors
    /// As [`Runner::run`]: nothing may have been given back then.
    fn forget(&self, _lease: u64, _models: &[String], _until: Instant) -> Result<(), InferenceError> {
        Ok(())
    }

    /// Why it will never run anything again, if that is so.
    fn failed(&self) -> Option<InferenceError> {
        None
    }
}

/// What one run gave.
#[derive(Debug, Clone, PartialEq)]
pub struct RunAnswer {
    /// In the order of the facts.
    pub outputs: Vec<Tensor>,
    /// How long the backend took.
    pub wall: Duration,
    /// CPU time that it took, all of its threads together, where that can be told.
    pub cpu: Duration,
}
