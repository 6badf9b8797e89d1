use std::fmt;
use std::time::Duration;

use super::lease::milliseconds;
use super::{InferenceError, Outputs, Tensor, TensorSpec};
use crate::host;

/// A model that can run. Opened by [`Lease::open`](super::Lease::open).
pub struct Model {
    name: String,
    inputs: Vec<TensorSpec>,
    outputs: Vec<TensorSpec>,
    model: host::inference::Model,
}

impl Model {
    pub(super) fn new(name: &str, model: host::inference::Model) -> Self {
        Self { name: name.to_owned(), inputs: model.inputs(), outputs: model.outputs(), model }
    }

    /// The name that it was opened by.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it takes.
    pub fn inputs(&self) -> &[TensorSpec] {
        &self.inputs
    }

    /// What it gives.
    pub fn outputs(&self) -> &[TensorSpec] {
        &self.outputs
    }

    /// Runs it over all rows of the inputs and waits for the answer, at most until the call's time limit.
    ///
    /// One tensor for each input, in any order. The host may cut the rows into several runs, or put rows of other instances
    /// beside them; the answer is the same.
    ///
    /// # Errors
    /// [`InferenceError`] says which may be tried again.
    pub fn run(&self, inputs: &[Tensor<'_>]) -> Result<Outputs, InferenceError> {
        self.model.run(inputs, None)
    }

    /// The same, waiting at most this long, in whole milliseconds. An answer that comes later is dropped.
    ///
    /// # Errors
    /// As [`run`](Self::run), and [`InferenceError::Deadline`].
    pub fn run_within(&self, inputs: &[Tensor<'_>], deadline: Duration) -> Result<Outputs, InferenceError> {
        self.model.run(inputs, Some(milliseconds(deadline)))
    }
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, inputs, outputs, model: _ } = self;
        f.debug_struct("Model").field("name", name).field("inputs", inputs).field("outputs", outputs).finish()
    }
}
