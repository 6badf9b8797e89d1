use std::sync::Arc;
use std::time::Instant;

use super::Lease;
use sage_machine::DeviceClaim;

/// A lease that is in the ledger, or whose device is not free yet.
pub(super) struct LeaseEntry {
    pub(super) lease: Arc<Lease>,
    pub(super) claim: DeviceClaim,
    pub(super) models: Vec<String>,
    /// Time at which the lease was first seen to be over while a run went on for it.
    pub(super) over_since: Option<Instant>,
}

impl LeaseEntry {
    /// Whether calls may still begin for the lease.
    pub(super) fn goes_on(&self) -> bool {
        self.lease.state().goes_on()
    }

    /// Whether the lease is over and nothing runs for it.
    pub(super) fn is_over(&self) -> bool {
        !self.goes_on() && self.lease.wait_idle(Instant::now())
    }
}

/// Whether a lease on this device goes on.
pub(super) fn goes_on(entries: &[LeaseEntry], device: &str) -> bool {
    entries.iter().any(|entry| entry.claim.device == device && entry.goes_on())
}
