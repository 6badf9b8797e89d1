use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::{InferenceError, LeaseState, ModelFacts, NamedTensor};

/// The access of one instance to models. All lanes of the instance share it. In a worker process it is the
/// near end of a link to the host, and the host has the real access.
pub trait ModelAccess: Send + Sync + fmt::Debug {
    /// Waits until the instance holds its lease. Returns at once if it already does. In this host a guest
    /// starts after its instance has got its lease, so only admission waits.
    ///
    /// # Errors
    /// [`InferenceError::NoLease`] if no lease was requested, [`InferenceError::LeaseLost`] if the lease
    /// ended, [`InferenceError::Deadline`] after `timeout`.
    fn acquire(&self, timeout: Duration) -> Result<LeaseView, InferenceError>;

    /// The present state of the lease. [`LeaseState::Released`] with a share of 0 if no lease was requested.
    fn view(&self) -> LeaseView;

    /// Opens a model by its declared name.
    ///
    /// # Errors
    /// There is no lease, the model is unknown, or the operator does not list the model.
    fn open(&self, model: &str) -> Result<Arc<ModelFacts>, InferenceError>;

    /// Runs a model over all rows of the inputs. Blocks until the answer is there, at most for `timeout`.
    ///
    /// # Errors
    /// Any [`InferenceError`].
    fn run(&self, model: &str, inputs: Vec<NamedTensor>, timeout: Duration)
    -> Result<Vec<NamedTensor>, InferenceError>;
}

/// The part of its instance's lease that a guest may see. The device stays hidden.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseView {
    /// The state of the lease.
    pub state: LeaseState,
    /// The leased share of devices, in 1/10,000 of a device.
    pub share: u32,
}

/// The access of an instance that requests no device.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoModels;

impl ModelAccess for NoModels {
    fn acquire(&self, _timeout: Duration) -> Result<LeaseView, InferenceError> {
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
        _timeout: Duration,
    ) -> Result<Vec<NamedTensor>, InferenceError> {
        Err(InferenceError::NoLease)
    }
}
