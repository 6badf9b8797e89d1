use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::{InferenceError, LeaseState, ModelFacts, NamedTensor};

/// What one instance may do with models. All of its lanes share it; in a worker it is the near end of a link to the host, which has the
/// real one.
pub trait ModelAccess: Send + Sync + fmt::Debug {
    /// Waits until the instance holds its lease; at once where it does. In this host a guest starts when its instance holds its lease already: who
    /// waits is whoever asks for admission.
    ///
    /// # Errors
    /// [`InferenceError::NoLease`] where none was asked for, [`InferenceError::LeaseLost`] where it ended,
    /// [`InferenceError::Deadline`] when `timeout` is over.
    fn acquire(&self, timeout: Duration) -> Result<LeaseView, InferenceError>;

    /// How the lease stands now; [`LeaseState::Released`] and nothing where none was asked for.
    fn view(&self) -> LeaseView;

    /// Opens a model by the name it is declared under.
    ///
    /// # Errors
    /// No lease, an unknown model, or one that the operator does not list.
    fn open(&self, model: &str) -> Result<Arc<ModelFacts>, InferenceError>;

    /// Runs a model over all rows of the inputs and waits for the answer, at most as long as `timeout`.
    ///
    /// # Errors
    /// Any [`InferenceError`].
    fn run(&self, model: &str, inputs: Vec<NamedTensor>, timeout: Duration)
    -> Result<Vec<NamedTensor>, InferenceError>;
}

/// What a guest may know of its instance's lease. Nothing of the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseView {
    /// How it stands.
    pub state: LeaseState,
    /// What it is of devices, in 1/10,000.
    pub share: u32,
}

/// The access of an instance that asked for no device.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoModels;

impl ModelAccess for NoModels {
    fn acquire(&self, _patience: Duration) -> Result<LeaseView, InferenceError> {
        Err(InferenceError::NoLease)
    }

    fn view(&self) -> LeaseView {
        LeaseView { state: LeaseState::Released, share: 0 }
    }

    fn open(&self, _model: &str) -> Result<Arc<ModelFacts>, InferenceError> {
        Err(InferenceError::NoLease)
    }

    fn run(
        &self,
        _model: &str,
        _inputs: Vec<NamedTensor>,
        _patience: Duration,
    ) -> Result<Vec<NamedTensor>, InferenceError> {
        Err(InferenceError::NoLease)
    }
}
