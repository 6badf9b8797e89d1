//! What the host and a device's process say to each other. A request is a number for what is asked and what goes with it; an answer begins with
//! how it went.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::tensor_wire::{get_outcome, get_tensors, put_outcome, put_tensors};
use sage_batch::wire::{WireError, WireReader, WireWriter, get_u64, put_u64};
use sage_models::{InferenceError, ModelFacts, RunAnswer, Tensor};
use sage_plan::config::BackendChoice;

/// What is asked. Answered in order.
pub(super) mod ask {
    /// Load a model: a [`super::LoadOrder`], the bytes of its file in pieces, an empty piece, and whether to go on.
    pub(in crate::worker) const LOAD: u64 = 1;
    /// Run a model: its name and its inputs.
    pub(in crate::worker) const RUN: u64 = 2;
    /// Give back what only an ended lease had: a [`super::ForgetOrder`].
    pub(in crate::worker) const FORGET: u64 = 4;
    /// Let go of everything and end. Not answered.
    pub(in crate::worker) const CLOSE: u64 = 3;
}

/// The longest [`LoadOrder`] in JSON: its name is bounded.
pub(super) const LONGEST_LOAD_ORDER: u64 = 64 << 10;
/// The longest [`ForgetOrder`]: the names of some thousand models.
pub(super) const LONGEST_FORGET_ORDER: u64 = 1 << 20;
/// A piece of a model's file: a ring.
pub(super) const PIECE: usize = 1 << 20;
/// The largest file of a model: what one message of protocol buffers may have, which an ONNX file is.
pub(super) const LARGEST_MODEL: u64 = 2 << 30;

/// What a model is to be loaded as.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct LoadOrder {
    pub(super) name: String,
    pub(super) backend: BackendChoice,
    /// Bytes of its file.
    pub(super) length: u64,
    /// Bytes of the device's memory that it may take: its weights and workspace.
    pub(super) memory: u64,
}

/// A lease that is over, and models that no other lease needs.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ForgetOrder {
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

/// The answer to a run of a model with these facts.
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

/// As many as the model has, of its types. Dimensions are what the model made of its inputs.
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

/// An error that a backend can give: of leases and deadlines it knows nothing.
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
