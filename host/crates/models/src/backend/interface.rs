use std::fmt;

use crate::{InferenceError, ModelFacts, Tensor};

/// A library that runs models on one kind of device.
pub trait Backend: Send + Sync + fmt::Debug {
    /// What `backend = "..."` calls it.
    fn name(&self) -> &'static str;

    /// Makes a model of the bytes of its file. The bytes are a stranger's: whatever they are is an error here, though a backend that is not
    /// ours may take memory, time or the process with it. Whoever must not be hurt by that calls it elsewhere.
    ///
    /// # Errors
    /// [`InferenceError::Unsupported`] for what the backend does not know, [`InferenceError::OutOfMemory`], [`InferenceError::Backend`].
    fn load(&self, model: &[u8], options: &LoadOptions) -> Result<Box<dyn LoadedModel>, InferenceError>;
}

/// How a model is to be loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadOptions {
    /// Threads that one run may use.
    pub threads: usize,
    /// Bytes of device memory that the model may take while it runs, where the backend can hold it to that.
    pub memory: Option<u64>,
}

/// A model that can run.
pub trait LoadedModel: Send + Sync + fmt::Debug {
    /// What it takes and gives.
    fn facts(&self) -> &ModelFacts;

    /// Runs it once, on the calling thread and at most as many others as it was loaded with. Inputs are in the order of the facts and were
    /// checked against them; outputs come in their order.
    ///
    /// # Errors
    /// [`InferenceError::OutOfMemory`], [`InferenceError::DeviceLost`], [`InferenceError::Backend`]. The model can be used on, except after a
    /// lost device.
    fn run(&self, inputs: Vec<Tensor>) -> Result<Vec<Tensor>, InferenceError>;
}
