use std::fmt;
use std::time::{Duration, Instant};

use super::{InferenceError, ModelFacts, Tensor};
use crate::plan::ModelSpec;

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

    /// Bytes of device memory that are in use now, where that can be told.
    fn memory_used(&self) -> Option<u64>;

    /// Ends what runs and gives the device back. Returns when the device really is free, or cannot be made so by anybody here.
    fn close(&self);
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
