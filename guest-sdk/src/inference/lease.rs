use std::fmt;
use std::time::Duration;

use super::{InferenceError, Model};
use crate::host;

/// The instance's right to a share of a device. Dropping it gives nothing back: the lease is the instance's and ends with it.
pub struct Lease(host::inference::Lease);

/// How a lease stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseState {
    /// Asked for, not given yet.
    Pending,
    /// Models can run.
    Held,
    /// Being taken away: what runs may finish, nothing new starts.
    Draining,
    /// Given back.
    Released,
    /// Taken away.
    Revoked,
    /// Not kept alive in time.
    Expired,
    /// The device is gone.
    DeviceLost,
}

impl Lease {
    /// Half of the default `call_timeout`: the operator hears of it and can say so, before the host ends the call.
    const PATIENCE: Duration = Duration::from_secs(30);

    /// The instance's lease; waits until it is held, half a minute at most and never past the call's time limit.
    ///
    /// Leases are given when the pipeline is admitted, so `open` is a good place to call this.
    ///
    /// # Errors
    /// [`InferenceError::NoLease`] where the operator has no `num_gpus`, [`InferenceError::LeaseLost`] where it ended,
    /// [`InferenceError::Deadline`] where it did not come.
    pub fn acquire() -> Result<Self, InferenceError> {
        Self::acquire_within(Self::PATIENCE)
    }

    /// The same with another patience, in whole milliseconds.
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire).
    pub fn acquire_within(patience: Duration) -> Result<Self, InferenceError> {
        host::inference::acquire(milliseconds(patience)).map(Self)
    }

    /// How it stands now.
    pub fn state(&self) -> LeaseState {
        self.0.state()
    }

    /// What it is of a device, in 1/10,000; a whole device is 10,000.
    pub fn share(&self) -> u32 {
        self.0.share()
    }

    /// Opens a model by the name under which the pipeline declares it, `[model.name]`. It is loaded already: this is quick.
    ///
    /// # Errors
    /// [`InferenceError::UnknownModel`], [`InferenceError::DeniedModel`], or that the lease ended.
    pub fn open(&self, name: &str) -> Result<Model, InferenceError> {
        self.0.open(name).map(|model| Model::new(name, model))
    }
}

/// Whole milliseconds; what is longer than can be said is as long as can be said.
pub(super) fn milliseconds(time: Duration) -> u32 {
    time.as_millis().try_into().unwrap_or(u32::MAX)
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("share", &self.share()).field("state", &self.state()).finish()
    }
}
