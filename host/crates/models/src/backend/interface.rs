use std::fmt;

use crate::{InferenceError, ModelFacts, Tensor};

/// A library that runs models on one kind of device.
pub trait Backend: Send + Sync + fmt::Debug {
    /// The name of the backend in `backend = "..."`.
    fn name(&self) -> &'static str;

    /// Loads a model from the bytes of its file. The bytes are untrusted, so any defect in them is an error.
    /// However, foreign code in a backend may exhaust memory, hang or crash the process. A caller that must
    /// survive this calls it in another process.
    ///
    /// # Errors
    /// [`InferenceError::Unsupported`] for anything that the backend does not know,
    /// [`InferenceError::OutOfMemory`], [`InferenceError::Backend`].
    fn load(&self, model: &[u8], options: &LoadOptions) -> Result<Box<dyn LoadedModel>, InferenceError>;
}

/// Options for loading a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadOptions {
    /// Threads that one run may use.
    pub threads: usize,
    /// Bytes of device memory that the model may use while it runs, if the backend can limit it.
    pub memory: Option<u64>,
}

/// A model that can run.
pub trait LoadedModel: Send + Sync + fmt::Debug {
    /// The inputs and outputs of the model.
    fn facts(&self) -> &ModelFacts;

    /// Runs the model once, on the calling thread and at most as many others as it was loaded with. Inputs
    /// are in the order of the facts and were checked against them. Outputs are in the order of the facts.
    ///
    /// # Errors
    /// [`InferenceError::OutOfMemory`], [`InferenceError::DeviceLost`], [`InferenceError::Backend`]. The
    /// model remains usable, except after a lost device.
    fn run(&self, inputs: Vec<Tensor>) -> Result<Vec<Tensor>, InferenceError>;
}
