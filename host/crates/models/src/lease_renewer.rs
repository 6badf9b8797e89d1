use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::LeaseState;
use super::driven_devices::DrivenDevices;
use super::lease_entry::LeaseEntry;
use sage_machine::{DeviceClaim, HeldClaim, ShareState, since_boot};

/// Keeps the leases of a run's claim: renews them in the machine's ledger in time, gives up a lease on request,
/// and takes a share out of the ledger when its device is free of it. [`LeaseRenewer::keep`] is the work of a
/// thread.
pub(super) struct LeaseRenewer {
    pub(super) claim: Arc<HeldClaim>,
    pub(super) ttl: Duration,
    inside: Mutex<Inside>,
    pub(super) stopping: Condvar,
}

/// The state that the thread of a renewer shares with its owner.
pub(super) struct Inside {
    pub(super) entries: Vec<LeaseEntry>,
    /// Devices in processes of their own.
    pub(super) driven: DrivenDevices,
    /// Leases whose devices are lost. They stay in the ledger as lost as long as the run lasts.
    lost: Vec<DeviceClaim>,
    pub(super) is_stopping: bool,
    /// Time of the last renewal, since the machine's start.
    pub(super) beat: Duration,
    /// Whether the leases were not renewed in time, so that none is left to keep.
    has_expired: bool,
    /// Whether the ledger lacks a change of the leases.
    is_unsaid: bool,
}

/// Interval at which requests for leases are looked for. A request is noticed within this time.
const LOOK: Duration = Duration::from_millis(250);
/// Number of renewals within the lifetime of a lease.
const BEATS: u32 = 4;
/// Maximum wait for the ledger before a change is written. The ledger is held for microseconds. A failed write is
/// tried again at the next look, after the heartbeat.
const WRITING: Duration = Duration::from_millis(50);

impl LeaseRenewer {
    /// A renewer of these leases, whose first heartbeat was at `beat`.
    pub(super) fn new(claim: Arc<HeldClaim>, entries: Vec<LeaseEntry>, beat: Duration) -> Self {
        let inside = Inside {
            entries,
            driven: DrivenDevices::default(),
            lost: Vec::new(),
            is_stopping: false,
            beat,
            has_expired: false,
            is_unsaid: false,
        };
        Self { ttl: claim.claim().lease_ttl, claim, inside: Mutex::new(inside), stopping: Condvar::new() }
    }

    /// Renews the leases until they are stopped and nothing runs for any of them.
    pub(super) fn keep(&self) {
        let pause = LOOK.min(self.ttl / BEATS);
        let mut inside = self.inside();
        loop {
            self.step(&mut inside);
            if inside.is_stopping && inside.entries.is_empty() {
                return;
            }
            let waited = self.stopping.wait_timeout(inside, pause);
            inside = waited.map_or_else(|poisoned| poisoned.into_inner().0, |(inside, _)| inside);
        }
    }

    fn step(&self, inside: &mut Inside) {
        let now = since_boot();
        if !inside.has_expired && now > inside.beat.saturating_add(self.ttl) {
            // Others may have the shares by now. They must not count again, so there is no heartbeat any more.
            tracing::warn!(
                late = ?now.saturating_sub(inside.beat),
                "the leases on devices were not renewed within {:?} and have expired: was this process stopped?",
                self.ttl
            );
            inside.entries.iter().for_each(|entry| entry.lease.expire());
            inside.has_expired = true;
            inside.is_unsaid = true;
        }
        if !inside.has_expired && now >= inside.beat.saturating_add(self.ttl / BEATS) {
            self.renew(inside, now);
        }
        self.look_for_requests(inside);
        inside.driven.lose_devices(&inside.entries);
        self.let_go(inside);
        if inside.is_unsaid {
            let shares = inside.entries.iter().filter(|_| !inside.has_expired).map(|entry| entry.claim.clone());
            let shares = shares.chain(inside.lost.iter().cloned()).collect();
            match self.claim.change_devices(shares, WRITING.min(self.ttl / BEATS)) {
                Ok(()) => inside.is_unsaid = false,
                Err(error) => tracing::warn!(%error, "cannot write down what leases on devices have become"),
            }
        }
    }

    fn renew(&self, inside: &mut Inside, now: Duration) {
        match self.claim.beat(now) {
            Ok(()) => {
                inside.beat = now;
                let until = now.saturating_add(self.ttl);
                inside.entries.iter().for_each(|entry| entry.lease.keep_until(until));
                inside.driven.keep_until(until);
            }
            Err(error) => tracing::warn!(%error, "cannot renew the leases on devices"),
        }
    }

    fn look_for_requests(&self, inside: &mut Inside) {
        for entry in inside.entries.iter_mut().filter(|entry| entry.claim.state == ShareState::Held) {
            if let Some(grace) = self.claim.folder().requested(entry.claim.token) {
                tracing::warn!(
                    lease = entry.claim.token,
                    device = entry.claim.device,
                    ?grace,
                    "the lease is taken away"
                );
                entry.lease.revoke(grace);
                entry.claim.state = ShareState::Draining;
                inside.is_unsaid = true;
            }
        }
    }

    /// Forgets leases that are over and for which nothing runs.
    fn let_go(&self, inside: &mut Inside) {
        inside.driven.end_what_is_over(&mut inside.entries);
        let over: Vec<LeaseEntry> = inside.entries.extract_if(.., |entry| entry.is_over()).collect();
        inside.is_unsaid |= !over.is_empty();
        for entry in over {
            inside.driven.have_forgotten(&entry, &inside.entries);
            if entry.lease.state() == LeaseState::DeviceLost {
                inside.lost.push(DeviceClaim { state: ShareState::DeviceLost, ..entry.claim.clone() });
            }
            if entry.claim.state == ShareState::Draining {
                self.claim.folder().forget_request(entry.claim.token);
            }
        }
    }

    pub(super) fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for LeaseRenewer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeaseRenewer")
            .field("claim", self.claim.claim())
            .field("ttl", &self.ttl)
            .finish_non_exhaustive()
    }
}
