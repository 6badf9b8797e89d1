use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::{InferenceError, LeaseEnd};
use sage_machine::since_boot;

/// The right of one instance to use a share of one device, as long as the lease is held.
///
/// ```text
///  Pending ──▶ Held ──▶ Draining ──▶ Revoked    (a user revokes it: running calls have a grace)
///    │          ├──────────────────▶ Expired    (it was not renewed: others may already have the share)
///    │          ├──────────────────▶ DeviceLost (the device is gone)
///    └──────────┴──────────────────▶ Released   (its instance has finished)
/// ```
///
/// Every end is final. A call for the lease first [enters](Lease::enter) it, and checks
/// [`LeaseUse::still_good`] before its result leaves: a result that comes after the end is dropped. The share
/// itself becomes free only when the device is free. `HeldDevices` ensures that: it removes the share from
/// the machine's ledger after [`Lease::wait_idle`].
///
/// **Fencing.** `token` is a fencing token: it increases with every lease of the machine, for any device, so
/// a message for an older lease can be told from one for the present lease. A lease that is renewed by a
/// heartbeat ends by itself when the heartbeat stops ([`Lease::keep_until`]). A process that was stopped
/// therefore finds its lease expired before it starts any call, whichever of its threads runs first.
#[derive(Debug)]
pub struct Lease {
    token: u64,
    device: String,
    share: u32,
    memory: u64,
    /// Expiry time in nanoseconds since the machine's start. `u64::MAX` if the lease needs no renewal.
    kept_until: AtomicU64,
    inside: Mutex<Inside>,
    changed: Condvar,
}

/// The state of a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LeaseState {
    /// Requested, but not granted yet. The WIT contract has this state. In this host instances start with
    /// their leases, so no guest sees it.
    Pending,
    /// Calls may start.
    Held,
    /// Being revoked. No new call starts, and running calls may finish.
    Draining,
    /// Its instance has finished.
    Released,
    /// The lease was revoked.
    Revoked,
    /// The lease was not renewed in time.
    Expired,
    /// The device is gone.
    DeviceLost,
}

#[derive(Debug)]
struct Inside {
    state: LeaseState,
    /// Time at which draining becomes revoked.
    grace_ends: Option<Instant>,
    /// Number of calls in flight.
    running: usize,
}

/// A call in flight for a lease. Dropping the value ends the call.
#[derive(Debug)]
#[must_use = "the run counts as over as soon as this is dropped"]
pub struct LeaseUse {
    lease: Arc<Lease>,
}

impl Lease {
    /// A granted lease on `share` of `device`, in 1/10,000, with `memory` bytes of it.
    #[must_use]
    pub fn held(token: u64, device: impl Into<String>, share: u32, memory: u64) -> Arc<Self> {
        let inside = Inside { state: LeaseState::Held, grace_ends: None, running: 0 };
        Arc::new(Self {
            token,
            device: device.into(),
            share,
            memory,
            kept_until: AtomicU64::new(u64::MAX),
            inside: Mutex::new(inside),
            changed: Condvar::new(),
        })
    }

    /// The fencing token. Unique among all leases of the machine; a later lease has a higher token.
    #[must_use]
    pub fn token(&self) -> u64 {
        self.token
    }

    /// The id of the device.
    #[must_use]
    pub fn device(&self) -> &str {
        &self.device
    }

    /// The share of the device, in 1/10,000.
    #[must_use]
    pub fn share(&self) -> u32 {
        self.share
    }

    /// Bytes of the device's memory.
    #[must_use]
    pub fn memory(&self) -> u64 {
        self.memory
    }

    /// The present state.
    #[must_use]
    pub fn state(&self) -> LeaseState {
        self.now().state
    }

    /// Begins a call for the lease.
    ///
    /// # Errors
    /// [`InferenceError::LeaseLost`], [`InferenceError::DeviceLost`]: the lease is not held, or no longer
    /// held.
    pub fn enter(self: &Arc<Self>) -> Result<LeaseUse, InferenceError> {
        let mut inside = self.now();
        inside.state.check()?;
        inside.running += 1;
        Ok(LeaseUse { lease: Arc::clone(self) })
    }

    /// Revokes the lease. No new call starts, and running calls have `grace` to finish. Without effect if the
    /// lease has ended.
    pub fn revoke(&self, grace: Duration) {
        let mut inside = self.now();
        if matches!(inside.state, LeaseState::Pending | LeaseState::Held) {
            inside.grace_ends = Instant::now().checked_add(grace);
            inside.state = match inside.running {
                0 => LeaseState::Revoked,
                _ => LeaseState::Draining,
            };
            self.changed.notify_all();
        }
    }

    /// Renews the lease. Without another renewal it expires at this time since the machine's start
    /// ([`since_boot`]).
    pub fn keep_until(&self, time: Duration) {
        self.kept_until.store(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), Ordering::Release);
    }

    /// Ends the lease because it was not renewed in time.
    pub fn expire(&self) {
        self.end(LeaseState::Expired);
    }

    /// Ends the lease because the device is gone.
    pub fn lose_device(&self) {
        self.end(LeaseState::DeviceLost);
    }

    /// Ends the lease because its instance has finished.
    pub fn release(&self) {
        self.end(LeaseState::Released);
    }

    /// Waits until no call runs for the lease, at most until `until`. Returns whether no call runs.
    pub fn wait_idle(&self, until: Instant) -> bool {
        let mut inside = self.now();
        loop {
            if inside.running == 0 {
                return true;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            // The end of a call wakes this thread.
            let waited = self.changed.wait_timeout(inside, left);
            inside = waited.map_or_else(|poisoned| poisoned.into_inner().0, |(inside, _)| inside);
        }
    }

    fn end(&self, state: LeaseState) {
        let mut inside = self.now();
        if inside.state.goes_on() {
            inside.state = state;
            self.changed.notify_all();
        }
    }

    /// The state at this moment, after applying an elapsed grace or an elapsed renewal time.
    fn now(&self) -> MutexGuard<'_, Inside> {
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        let over = inside.grace_ends.is_some_and(|ends| Instant::now() >= ends);
        if inside.state == LeaseState::Draining && (over || inside.running == 0) {
            inside.state = LeaseState::Revoked;
            self.changed.notify_all();
        }
        if inside.state.goes_on() && self.is_late() {
            inside.state = LeaseState::Expired;
            self.changed.notify_all();
        }
        inside
    }

    fn is_late(&self) -> bool {
        match self.kept_until.load(Ordering::Acquire) {
            u64::MAX => false,
            until => since_boot() > Duration::from_nanos(until),
        }
    }
}

impl LeaseState {
    /// # Errors
    /// The way in which the lease is not held.
    pub(super) fn check(self) -> Result<(), InferenceError> {
        match self {
            Self::Held => Ok(()),
            Self::Pending => Err(InferenceError::NoLease),
            Self::Draining => Err(InferenceError::LeaseLost(LeaseEnd::Draining)),
            Self::Revoked | Self::Released => Err(InferenceError::LeaseLost(LeaseEnd::Revoked)),
            Self::Expired => Err(InferenceError::LeaseLost(LeaseEnd::Expired)),
            Self::DeviceLost => Err(InferenceError::DeviceLost("it runs nothing any more".to_owned())),
        }
    }

    /// Whether a call may run for the lease: it is held, or being revoked.
    pub(super) fn goes_on(self) -> bool {
        matches!(self, Self::Pending | Self::Held | Self::Draining)
    }
}

impl LeaseUse {
    /// Checks that the call's result may leave: the lease is held, or its grace is not over.
    ///
    /// # Errors
    /// The errors of [`Lease::enter`]. The caller must drop the result.
    pub fn still_good(&self) -> Result<(), InferenceError> {
        match self.lease.now().state {
            LeaseState::Draining => Ok(()),
            state => state.check(),
        }
    }

    /// The lease of the call.
    #[must_use]
    pub fn lease(&self) -> &Arc<Lease> {
        &self.lease
    }
}

impl Drop for LeaseUse {
    fn drop(&mut self) {
        let mut inside = self.lease.inside.lock().unwrap_or_else(PoisonError::into_inner);
        inside.running = inside.running.saturating_sub(1);
        self.lease.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(3600);

    fn lost(end: LeaseEnd) -> InferenceError {
        InferenceError::LeaseLost(end)
    }

    #[test]
    fn a_held_lease_is_entered_and_left() {
        let lease = Lease::held(7, "cpu0", 2_500, 1 << 20);
        let run = lease.enter().unwrap();
        assert_eq!(run.still_good(), Ok(()));
        assert!(!lease.wait_idle(Instant::now()));
        drop(run);
        assert!(lease.wait_idle(Instant::now()));
        assert_eq!((lease.token(), lease.device(), lease.share(), lease.memory()), (7, "cpu0", 2_500, 1 << 20));
    }

    #[test]
    fn what_runs_when_a_lease_is_revoked_may_finish_and_nothing_new_starts() {
        let lease = Lease::held(1, "cpu0", 10_000, 0);
        let run = lease.enter().unwrap();
        lease.revoke(GRACE);
        assert_eq!((lease.state(), run.still_good()), (LeaseState::Draining, Ok(())));
        assert_eq!(lease.enter().unwrap_err(), lost(LeaseEnd::Draining));
        drop(run);
        assert_eq!(lease.state(), LeaseState::Revoked);
        assert_eq!(lease.enter().unwrap_err(), lost(LeaseEnd::Revoked));
    }

    #[test]
    fn an_answer_after_the_grace_is_dropped() {
        let lease = Lease::held(1, "cpu0", 10_000, 0);
        let run = lease.enter().unwrap();
        lease.revoke(Duration::ZERO);
        assert_eq!(run.still_good(), Err(lost(LeaseEnd::Revoked)));
        assert!(!lease.wait_idle(Instant::now()), "the device is not free before the run is over");
    }

    #[test]
    fn every_end_is_for_good_and_told_as_what_it_is() {
        type End = fn(&Lease);
        let cases: [(End, LeaseState, InferenceError); 4] = [
            (Lease::expire, LeaseState::Expired, lost(LeaseEnd::Expired)),
            (|lease| lease.revoke(GRACE), LeaseState::Revoked, lost(LeaseEnd::Revoked)),
            (Lease::release, LeaseState::Released, lost(LeaseEnd::Revoked)),
            (
                Lease::lose_device,
                LeaseState::DeviceLost,
                InferenceError::DeviceLost("it runs nothing any more".to_owned()),
            ),
        ];
        for (end, state, error) in cases {
            let lease = Lease::held(1, "cpu0", 10_000, 0);
            end(&lease);
            assert_eq!((lease.state(), lease.enter().unwrap_err()), (state, error.clone()));
            lease.expire();
            lease.revoke(GRACE);
            lease.release();
            assert_eq!(lease.state(), state, "an end does not change");
        }
    }

    #[test]
    fn a_lease_that_is_not_renewed_expires_by_itself_and_renewing_comes_too_late_then() {
        let lease = Lease::held(1, "cpu0", 10_000, 0);
        lease.keep_until(since_boot() + GRACE);
        let run = lease.enter().unwrap();
        lease.keep_until(Duration::from_nanos(1));
        assert_eq!(lease.enter().unwrap_err(), lost(LeaseEnd::Expired));
        lease.keep_until(since_boot() + GRACE);
        assert_eq!(run.still_good(), Err(lost(LeaseEnd::Expired)), "its share may be another's already");
    }

    #[test]
    fn an_answer_of_an_expired_lease_is_stale() {
        let lease = Lease::held(1, "cpu0", 10_000, 0);
        let run = lease.enter().unwrap();
        lease.expire();
        assert_eq!(run.still_good(), Err(lost(LeaseEnd::Expired)));
    }
}
