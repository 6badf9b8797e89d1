use std::collections::BTreeMap;
use std::sync::Arc;

use crate::{Lease, LeaseState};

/// A run's leases on a device, counted by state and by end.
#[derive(Debug, Default)]
pub(super) struct WatchedLeases {
    known: Vec<Arc<Lease>>,
    /// Number of ended leases, by the way in which they ended.
    ended: BTreeMap<&'static str, u64>,
}

impl WatchedLeases {
    /// Counts a lease until it ends.
    pub(super) fn watch(&mut self, lease: &Arc<Lease>) {
        self.settle();
        self.known.push(Arc::clone(lease));
    }

    /// The number of live leases by state, and of ended leases by the way in which they ended.
    pub(super) fn count(&mut self) -> (BTreeMap<&'static str, u64>, BTreeMap<&'static str, u64>) {
        self.settle();
        let mut leases = BTreeMap::new();
        for lease in &self.known {
            *leases.entry(state_name(lease.state())).or_default() += 1;
        }
        (leases, self.ended.clone())
    }

    /// Counts leases that have ended, each once.
    fn settle(&mut self) {
        let Self { known, ended } = self;
        known.retain(|lease| {
            let state = lease.state();
            if !state.goes_on() {
                *ended.entry(state_name(state)).or_default() += 1;
            }
            state.goes_on()
        });
    }
}

/// The metric label of a state.
fn state_name(state: LeaseState) -> &'static str {
    match state {
        LeaseState::Pending => "pending",
        LeaseState::Held => "held",
        LeaseState::Draining => "draining",
        LeaseState::Released => "released",
        LeaseState::Revoked => "revoked",
        LeaseState::Expired => "expired",
        LeaseState::DeviceLost => "device-lost",
    }
}
