//! The messages between the host and a device's process. A request is a number for its kind, followed by its
//! content. An answer begins with its outcome.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::tensor_wire::{get_outcome, get_tensors, put_outcome, put_tensors};
use sage_batch::wire::{WireError, WireReader, WireWriter, get_u64, put_u64};
use sage_models::{InferenceError, ModelFacts, RunAnswer, Tensor};
use sage_plan::config::BackendChoice;

/// The kinds of requests. They are answered in order.
pub(super) mod ask {
    /// Load a model. Content: a [`super::LoadRequest`], the bytes of its file in pieces, an empty piece, and
    /// whether to continue.
    pub(in crate::worker) const LOAD: u64 = 1;
    /// Run a model. Content: its name and its inputs.
    pub(in crate::worker) const RUN: u64 = 2;
    /// Free the resources that only an ended lease used. Content: a [`super::ForgetRequest`].
    pub(in crate::worker) const FORGET: u64 = 4;
    /// Free everything and end. There is no answer.
    pub(in crate::worker) const CLOSE: u64 = 3;
}

/// Maximum bytes of a [`LoadRequest`] in JSON. The length of its name is limited.
pub(super) const LONGEST_LOAD_ORDER: u64 = 64 << 10;
/// Maximum bytes of a [`ForgetRequest`]: the names of some thousand models.
pub(super) const LONGEST_FORGET_ORDER: u64 = 1 << 20;
/// Maximum bytes of a piece of a model's file: the size of a ring.
pub(super) const PIECE: usize = 1 << 20;
/// Maximum bytes of a model file. An ONNX file is one protocol buffer message, and this is the limit of such a
/// message.
pub(super) const LARGEST_MODEL: u64 = 2 << 30;

/// The description of a model to load.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct LoadRequest {
    pub(super) name: String,
    pub(super) backend: BackendChoice,
    /// Bytes of the model file.
    pub(super) length: u64,
    /// Maximum bytes of the device's memory for its weights and workspace.
    pub(super) memory: u64,
}

/// An ended lease, and the models that no other lease needs.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ForgetRequest {
    pub(super) lease: u64,
    pub(super) models: Vec<String>,
}

pub(super) fn put_answer(
    to: &mut impl WireWriter,
    answer: &Result<RunAnswer, InferenceError>,
) -> Result<(), WireError> {
    put_outcome(to, answer)?;
    let Ok(RunAnswer { outputs, wall, cpu }) = answer else { return Ok(()) };
    put_u64(to, nanoseconds(*wall))?;
    put_u64(to, nanoseconds(*cpu))?;
    put_tensors(to, outputs)
}

/// Reads the answer to a run of a model with these facts.
pub(super) fn get_answer(
    from: &mut impl WireReader,
    facts: &ModelFacts,
) -> Result<Result<RunAnswer, InferenceError>, WireError> {
    if let Err(error) = get_outcome(from)? {
        return possible(error).map(Err);
    }
    let (wall, cpu) = (Duration::from_nanos(get_u64(from)?), Duration::from_nanos(get_u64(from)?));
    let outputs = get_tensors(from)?;
    check_outputs(&outputs, facts)?;
    Ok(Ok(RunAnswer { outputs, wall, cpu }))
}

/// Checks the number and the types of the outputs. Their dimensions depend on the inputs.
fn check_outputs(outputs: &[Tensor], facts: &ModelFacts) -> Result<(), WireError> {
    if outputs.len() != facts.outputs.len() {
        let (found, expected) = (outputs.len(), facts.outputs.len());
        return Err(WireError::broken(format!("{found} outputs of a model that has {expected}")));
    }
    match outputs.iter().zip(&facts.outputs).find(|(output, spec)| output.dtype() != spec.dtype) {
        None => Ok(()),
        Some((output, spec)) => {
            let (found, expected) = (output.dtype(), spec.dtype);
            Err(WireError::broken(format!("output \"{}\" of type {found}, {expected} was expected", spec.name)))
        }
    }
}

/// Accepts the errors that a backend can return. A backend does not know leases and deadlines.
pub(super) fn possible(error: InferenceError) -> Result<InferenceError, WireError> {
    match error {
        InferenceError::DeviceLost(_)
        | InferenceError::BadInput { .. }
        | InferenceError::TooLarge { .. }
        | InferenceError::OutOfMemory(_)
        | InferenceError::UnknownModel(_)
        | InferenceError::Unsupported(_)
        | InferenceError::Backend(_) => Ok(error),
        InferenceError::NoLease
        | InferenceError::LeaseLost(_)
        | InferenceError::DeniedModel(_)
        | InferenceError::Busy
        | InferenceError::Deadline => Err(WireError::broken(format!("an error that no backend has: {error}"))),
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
