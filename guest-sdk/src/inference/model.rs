use std::fmt;
use std::time::Duration;

use super::lease::milliseconds;
use super::{InferenceError, Outputs, Tensor, TensorSpec};
use crate::host;

/// A model that can run. [`Lease::open`](super::Lease::open) returns it.
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

    /// The name by which the model was opened.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The inputs that the model takes.
    pub fn inputs(&self) -> &[TensorSpec] {
        &self.inputs
    }

    /// The outputs that the model gives.
    pub fn outputs(&self) -> &[TensorSpec] {
        &self.outputs
    }

    /// Runs the model over all rows of the inputs and waits for the answer, at most until the time limit of the
    /// call into the operator.
    ///
    /// `inputs` has one tensor for each input of the model, in any order. The host may split the rows into
    /// several runs, and may combine them with rows of other instances; the answer is the same.
    ///
    /// # Errors
    /// Any [`InferenceError`]; its variants say whether a retry can succeed.
    pub fn run(&self, inputs: &[Tensor<'_>]) -> Result<Outputs, InferenceError> {
        self.model.run(inputs, None)
    }

    /// Like [`run`](Self::run), but waits at most `deadline`, in whole milliseconds. A later answer is dropped.
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
