use std::fmt;
use std::time::Duration;

use super::{InferenceError, Model};
use crate::host;

/// The right of an instance to a share of a device.
///
/// The instance owns the lease until the instance ends. Dropping this handle does not release the lease.
pub struct Lease(host::inference::Lease);

/// State of a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseState {
    /// Requested, but not granted yet.
    Pending,
    /// Granted: models can run.
    Held,
    /// Being revoked: runs in flight may finish, and no new run starts.
    Draining,
    /// Released.
    Released,
    /// Revoked.
    Revoked,
    /// Not renewed in time.
    Expired,
    /// The device is gone.
    DeviceLost,
}

impl Lease {
    /// Half of the default `call_timeout`: the operator learns of the timeout and can report it before the host
    /// ends the call.
    const PATIENCE: Duration = Duration::from_secs(30);

    /// Returns the instance's lease. Waits until the instance holds the lease, for at most 30 s and never past
    /// the time limit of the call.
    ///
    /// The host grants leases when it admits the pipeline, so `open` is a good place for this call.
    ///
    /// # Errors
    /// - [`InferenceError::NoLease`]: the operator has no `num_gpus`.
    /// - [`InferenceError::LeaseLost`]: the lease has ended.
    /// - [`InferenceError::Deadline`]: the lease was not granted in time.
    pub fn acquire() -> Result<Self, InferenceError> {
        Self::acquire_within(Self::PATIENCE)
    }

    /// Like [`acquire`](Self::acquire), with another timeout, in whole milliseconds.
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire).
    pub fn acquire_within(patience: Duration) -> Result<Self, InferenceError> {
        host::inference::acquire(milliseconds(patience)).map(Self)
    }

    /// Returns the current state.
    pub fn state(&self) -> LeaseState {
        self.0.state()
    }

    /// Returns the leased share of a device, in units of 1/10,000; a whole device is 10,000.
    pub fn share(&self) -> u32 {
        self.0.share()
    }

    /// Opens a model by the name that the pipeline gives it, `[model.name]`. The model is loaded already, so
    /// the call is quick.
    ///
    /// # Errors
    /// - [`InferenceError::UnknownModel`]: the pipeline declares no such model.
    /// - [`InferenceError::DeniedModel`]: the operator's `models` does not list the model.
    /// - [`InferenceError::LeaseLost`]: the lease has ended.
    pub fn open(&self, name: &str) -> Result<Model, InferenceError> {
        self.0.open(name).map(|model| Model::new(name, model))
    }
}

/// Converts to whole milliseconds. A duration that is too long for `u32` becomes `u32::MAX`.
pub(super) fn milliseconds(time: Duration) -> u32 {
    time.as_millis().try_into().unwrap_or(u32::MAX)
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("share", &self.share()).field("state", &self.state()).finish()
    }
}
