use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::{InferenceError, LeaseEnd};
use sage_machine::since_boot;

/// The right of one instance to a share of one device, for as long as it is held.
///
/// ```text
///  Pending ──▶ Held ──▶ Draining ──▶ Revoked    (somebody takes it away: what runs has its grace)
///     │          ├──────────────────▶ Expired    (it was not kept alive: others may have the share already)
///     │          ├──────────────────▶ DeviceLost (there is nothing left to hold)
///     └──────────┴──────────────────▶ Released   (its instance is done)
/// ```
///
/// Every end is for good. Whoever runs something for it [enters](Lease::enter) first and asks [`LeaseUse::still_good`] before it lets an answer
/// out: an answer that comes after the end is dropped. The share itself is another matter: it is free when the device is, which whoever
/// keeps the machine's book sees to, after [`Lease::wait_idle`].
///
/// **Fencing.** `token` rises with every lease that the machine gives out for any device, so that whatever still speaks for an older one is told
/// apart from the one that holds now. A lease that is kept alive by a heartbeat ends by itself when that stops ([`Lease::keep_until`]): a process
/// that was stopped meanwhile finds it expired before it starts anything, whichever of its threads goes on first.
#[derive(Debug)]
pub struct Lease {
    token: u64,
    device: String,
    share: u32,
    memory: u64,
    /// Nanoseconds since the machine's start at which it expires; `u64::MAX` where nobody keeps it.
    kept_until: AtomicU64,
    inside: Mutex<Inside>,
    changed: Condvar,
}

/// How a lease stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LeaseState {
    /// Asked for, and not given yet. Of the contract: in this host instances start with their leases, so that no guest sees it.
    Pending,
    /// Work may start.
    Held,
    /// Being taken away: nothing new starts, what runs may finish.
    Draining,
    /// Its instance is done with it.
    Released,
    /// It was taken away.
    Revoked,
    /// It was not kept alive.
    Expired,
    /// The device is gone.
    DeviceLost,
}

#[derive(Debug)]
struct Inside {
    state: LeaseState,
    /// When draining turns into revoked.
    grace_ends: Option<Instant>,
    /// Runs under way.
    running: usize,
}

/// One run under way for a lease; ends with it.
#[derive(Debug)]
#[must_use = "the run counts as over as soon as this is dropped"]
pub struct LeaseUse {
    lease: Arc<Lease>,
}

impl Lease {
    /// A lease that was given: `share` of `device` in 1/10,000, and `memory` bytes of it.
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

    /// Tells it apart from every other lease of the machine; a later one's is higher.
    #[must_use]
    pub fn token(&self) -> u64 {
        self.token
    }

    /// The device.
    #[must_use]
    pub fn device(&self) -> &str {
        &self.device
    }

    /// How much of it, in 1/10,000.
    #[must_use]
    pub fn share(&self) -> u32 {
        self.share
    }

    /// Bytes of its memory.
    #[must_use]
    pub fn memory(&self) -> u64 {
        self.memory
    }

    /// How it stands.
    #[must_use]
    pub fn state(&self) -> LeaseState {
        self.now().state
    }

    /// Begins a run for it.
    ///
    /// # Errors
    /// [`InferenceError::LeaseLost`], [`InferenceError::DeviceLost`]: it is not held (any more).
    pub fn enter(self: &Arc<Self>) -> Result<LeaseUse, InferenceError> {
        let mut inside = self.now();
        inside.state.check()?;
        inside.running += 1;
        Ok(LeaseUse { lease: Arc::clone(self) })
    }

    /// Takes it away: nothing new starts, what runs has `grace` to finish. Without effect where it has ended.
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

    /// It was renewed, and expires by itself at this time since the machine's start ([`since_boot`]) unless it is again.
    pub fn keep_until(&self, time: Duration) {
        self.kept_until.store(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), Ordering::Release);
    }

    /// It was not kept alive.
    pub fn expire(&self) {
        self.end(LeaseState::Expired);
    }

    /// The device is gone.
    pub fn lose_device(&self) {
        self.end(LeaseState::DeviceLost);
    }

    /// Its instance is done.
    pub fn release(&self) {
        self.end(LeaseState::Released);
    }

    /// Waits until nothing runs for it, at most until `until`; whether that is so.
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
            // Woken by the end of a run.
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

    /// The inside at this moment: a grace that is over is over.
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
    /// How it is not held.
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

    /// Whether something may run for it: it is held, or being taken away.
    pub(super) fn goes_on(self) -> bool {
        matches!(self, Self::Pending | Self::Held | Self::Draining)
    }
}

impl LeaseUse {
    /// Whether the run's answer may be let out: the lease is held, or being taken away with its grace not over.
    ///
    /// # Errors
    /// As [`Lease::enter`]; the answer is to be dropped.
    pub fn still_good(&self) -> Result<(), InferenceError> {
        match self.lease.now().state {
            LeaseState::Draining => Ok(()),
            state => state.check(),
        }
    }

    /// What it runs for.
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
