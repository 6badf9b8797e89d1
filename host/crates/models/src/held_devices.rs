use std::collections::BTreeMap;
use std::fmt;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use super::{Device, InferenceError, Lease, LeaseLocks, LeaseState, Runner, Turns};
use sage_machine::{DeviceClaim, HeldClaim, ResourceError, ShareState, since_boot};
use sage_plan::StageId;

/// A run's leases on devices, by stage and instance, and the thread that keeps them.
///
/// The thread renews the leases in the machine's ledger, ends a lease that a user revokes, and removes a
/// share from the ledger when the device no longer uses it. On drop the leases are released.
///
/// ```text
///  every 250 ms: was this process stopped?   ─▶ all leases expire and leave the ledger
///                a quarter of the TTL over?  ─▶ heartbeat, also to the device's process
///                a revocation request?       ─▶ Lease::revoke(grace)
///                its device lost for good?   ─▶ the lease is lost too
///                ended and idle?             ─▶ out of the ledger
/// ```
///
/// **A device in a process of its own** ([`HeldDevices::drive`]) keeps its memory until it frees it, so the
/// end of a lease must reach that process. When the last lease of this run on the device ends, the process is
/// ended. If other leases are still held, the process continues for them. A call that outlives its lease's
/// grace costs a restart of the process. Otherwise the process frees the models that only the ended lease's
/// operator lists, and then that lease's lock. Until the lock is free, the ledger shows `busy`, and the share
/// is not free.
///
/// **Waiting.** The thread waits briefly for the ledger lock when it has to write, and for nothing else. A
/// heartbeat needs no lock, and separate threads wait for a device's process to end or to free memory.
/// Dropping this value waits for the thread only if no call runs for any lease. Otherwise the thread
/// continues by itself until all calls have ended, and keeps the claim until then: a used device is never
/// shown as free.
#[derive(Debug)]
#[must_use = "the devices are free again as soon as this is dropped"]
pub struct HeldDevices {
    instances: BTreeMap<(StageId, u32), Vec<Arc<Lease>>>,
    kept: Option<Kept>,
}

/// A lease of an instance, with its entry in the claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceLease {
    /// The stage.
    pub stage: StageId,
    /// The entry in the claim, with the device and the instance.
    pub claim: DeviceClaim,
    /// The models that the operator lists.
    pub models: Vec<String>,
}

#[derive(Debug)]
struct Kept {
    book: Arc<Book>,
    thread: Option<JoinHandle<()>>,
}

/// The state that the thread and its owner share.
struct Book {
    claim: Arc<HeldClaim>,
    ttl: Duration,
    inside: Mutex<Inside>,
    stopping: Condvar,
}

struct Inside {
    entries: Vec<Entry>,
    /// Devices in processes of their own, with their runners.
    driven: BTreeMap<String, Driven>,
    /// Leases on lost devices. The ledger shows them as lost until the run ends.
    lost: Vec<DeviceClaim>,
    is_stopping: bool,
    /// Time of the last renewal of the leases.
    beat: Duration,
    /// Whether the leases expired because they were not renewed in time. Then there is nothing left to renew.
    has_expired: bool,
    /// Whether the ledger does not show the present state of the leases yet.
    is_unsaid: bool,
}

/// A lease that is in the ledger, or that still uses its device.
struct Entry {
    lease: Arc<Lease>,
    claim: DeviceClaim,
    models: Vec<String>,
    /// Time when the lease was first seen to be over with a call still running.
    over_since: Option<Instant>,
}

#[derive(Debug)]
struct Driven {
    runner: Weak<dyn Runner>,
    is_closing: bool,
}

/// The locks of a run's leases on one device.
#[derive(Debug)]
struct DeviceLocks {
    device: String,
    /// A weak reference: the runner of the device may hang for ever, and must not keep the run's claim alive.
    book: Weak<Book>,
}

/// Interval of the checks for revocation requests. A request waits at most this long until the thread acts on
/// it.
const LOOK: Duration = Duration::from_millis(250);
/// Number of renewals within the lifetime of a lease.
const BEATS: u32 = 4;
/// Grace after the end of a lease, before a call that still runs is ended together with its process. The
/// caller checks every 20 ms, so within this time it learns how the lease ended, instead of a lost device.
const OVERDUE: Duration = Duration::from_millis(100);
/// Timeout for freeing the models of an ended lease. A slot becomes free when a call ends or reaches its
/// deadline.
const FORGETTING: Duration = Duration::from_secs(60);
/// Timeout for the ledger lock, which is held for microseconds. A failed write is tried again at the next
/// check, after the heartbeat.
const WRITING: Duration = Duration::from_millis(50);

impl HeldDevices {
    /// No leases, for a run that requests no device.
    pub fn none() -> Self {
        Self { instances: BTreeMap::new(), kept: None }
    }

    /// Starts to keep the leases of a claim.
    ///
    /// # Errors
    /// The claim cannot be renewed, or the thread cannot be started.
    pub fn keep(claim: Arc<HeldClaim>, leases: Vec<InstanceLease>) -> Result<Self, ResourceError> {
        if leases.is_empty() {
            return Ok(Self::none());
        }
        let ttl = claim.claim().lease_ttl;
        let beat = since_boot();
        claim.beat(beat)?;
        let mut instances: BTreeMap<_, Vec<Arc<Lease>>> = BTreeMap::new();
        let mut entries = Vec::new();
        for InstanceLease { stage, claim, models } in leases {
            let lease = Lease::held(claim.token, claim.device.as_str(), claim.share, claim.memory);
            lease.keep_until(beat.saturating_add(ttl));
            instances.entry((stage, claim.instance)).or_default().push(Arc::clone(&lease));
            entries.push(Entry { lease, claim, models, over_since: None });
        }
        let inside = Inside {
            entries,
            driven: BTreeMap::new(),
            lost: Vec::new(),
            is_stopping: false,
            beat,
            has_expired: false,
            is_unsaid: false,
        };
        let book = Arc::new(Book { claim, ttl, inside: Mutex::new(inside), stopping: Condvar::new() });
        let keeping = Arc::clone(&book);
        let thread = Builder::new().name("device-leases".to_owned()).spawn(move || keeping.keep());
        let thread = thread.map_err(|cause| ResourceError::DeviceKeeper { cause })?;
        Ok(Self { instances, kept: Some(Kept { book, thread: Some(thread) }) })
    }

    /// The leases of an instance, one for each device. Empty if the instance requested no device.
    #[must_use]
    pub fn of(&self, stage: StageId, instance: u32) -> &[Arc<Lease>] {
        self.instances.get(&(stage, instance)).map(Vec::as_slice).unwrap_or_default()
    }

    /// All leases.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Lease>> {
        self.instances.values().flatten()
    }

    /// The locks of the leases on a device, which the device's process inherits. While that process holds a
    /// lock, the share is not free, even if this process is killed.
    #[must_use]
    pub fn locks(&self, device: &str) -> Arc<dyn LeaseLocks> {
        let book = self.kept.as_ref().map_or_else(Weak::new, |kept| Arc::downgrade(&kept.book));
        Arc::new(DeviceLocks { device: device.to_owned(), book })
    }

    /// Time at which the leases expire without a renewal, since the machine's start.
    #[must_use]
    pub fn kept_until(&self) -> Duration {
        let kept = self.kept.as_ref();
        kept.map_or(Duration::MAX, |kept| kept.book.inside().beat.saturating_add(kept.book.ttl))
    }

    /// The turns of this run with other runs that hold shares of a device. `None` if this run has the whole
    /// device. If the turns cannot be set up, a warning is logged and the run continues without turns, at the
    /// same time as other runs.
    #[must_use]
    pub fn turns(&self, device: &Device) -> Option<Turns> {
        let folder = self.kept.as_ref()?.book.claim.folder();
        let leases: Vec<_> = self.all().filter(|lease| lease.device() == device.id).map(Arc::clone).collect();
        if leases.is_empty() || leases.iter().any(|lease| lease.share() >= Device::WHOLE) {
            return None;
        }
        let joined = Turns::join(folder, &device.id, device.slots(), leases);
        joined
            .inspect_err(|error| {
                tracing::warn!(device = device.id, %error, "this run takes no turns with other runs on the device");
            })
            .ok()
    }

    /// Registers `runner`, a process of its own, as the runner of a device's models. From now on, renewals
    /// and ends of leases are passed on to it.
    pub fn drive(&self, device: &str, runner: &Arc<dyn Runner>) {
        let Some(kept) = &self.kept else { return };
        let mut inside = kept.book.inside();
        runner.keep_until(inside.beat.saturating_add(kept.book.ttl));
        inside.driven.insert(device.to_owned(), Driven { runner: Arc::downgrade(runner), is_closing: false });
    }
}

impl LeaseLocks for DeviceLocks {
    fn take(&self) -> Result<Vec<(u64, OwnedFd)>, InferenceError> {
        let lost = |why: String| InferenceError::DeviceLost(why);
        let nobody = || lost("no lease on it is held any more".to_owned());
        let book = self.book.upgrade().ok_or_else(nobody)?;
        let entries: Vec<_> = {
            let inside = book.inside();
            let here = inside.entries.iter().filter(|entry| entry.claim.device == self.device);
            here.map(|entry| (Arc::clone(&entry.lease), entry.claim.clone())).collect()
        };
        let failed = |error: ResourceError| lost(format!("it cannot be marked as in use: {error}"));
        // Another run that finds a lease expired checks its lock while holding the ledger lock. Holding the
        // ledger lock here ensures that the leases are marked as busy before such a check.
        let choosing = book.claim.folder().choose().map_err(failed)?;
        let mut locks = Vec::new();
        for (lease, claim) in entries.iter().filter(|(lease, _)| lease.state().goes_on()) {
            let lock = choosing.busy(book.claim.claim(), claim).map_err(failed)?;
            locks.push((lease.token(), lock.leave()));
        }
        if locks.is_empty() { Err(nobody()) } else { Ok(locks) }
    }
}

impl Drop for HeldDevices {
    fn drop(&mut self) {
        let Some(kept) = &mut self.kept else { return };
        let leases: Vec<_> = self.instances.values().flatten().collect();
        leases.iter().for_each(|lease| lease.release());
        kept.book.inside().is_stopping = true;
        kept.book.stopping.notify_all();
        let is_idle = leases.iter().all(|lease| lease.wait_idle(Instant::now()));
        if let Some(thread) = kept.thread.take().filter(|_| is_idle) {
            // The panic hook has already reported a panic of the thread.
            let _ = thread.join();
        }
    }
}

impl Book {
    fn keep(&self) {
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
            // Other runs may have these shares now. The expired leases must not count again, so heartbeats
            // stop.
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
        inside.lose_devices();
        self.let_go(inside);
        if inside.is_unsaid {
            let shares = inside.entries.iter().filter(|_| !inside.has_expired).map(|entry| entry.claim.clone());
            let shares = shares.chain(inside.lost.iter().cloned()).collect();
            match self.claim.change_devices(shares, WRITING.min(self.ttl / BEATS)) {
                Ok(()) => inside.is_unsaid = false,
                Err(error) => tracing::warn!(%error, "cannot write the state of device leases to the ledger"),
            }
        }
    }

    fn renew(&self, inside: &mut Inside, now: Duration) {
        match self.claim.beat(now) {
            Ok(()) => {
                inside.beat = now;
                let until = now.saturating_add(self.ttl);
                inside.entries.iter().for_each(|entry| entry.lease.keep_until(until));
                inside.runners().for_each(|(_, runner)| runner.keep_until(until));
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
                    "the lease is being revoked"
                );
                entry.lease.revoke(grace);
                entry.claim.state = ShareState::Draining;
                inside.is_unsaid = true;
            }
        }
    }

    /// Removes leases that are over and for which no call runs.
    fn let_go(&self, inside: &mut Inside) {
        inside.end_what_is_over();
        let is_over = |entry: &Entry| !entry.lease.state().goes_on() && entry.lease.wait_idle(Instant::now());
        let over: Vec<Entry> = inside.entries.extract_if(.., |entry| is_over(entry)).collect();
        inside.is_unsaid |= !over.is_empty();
        for entry in over {
            inside.have_forgotten(&entry);
            if entry.lease.state() == LeaseState::DeviceLost {
                inside.lost.push(DeviceClaim { state: ShareState::DeviceLost, ..entry.claim.clone() });
            }
            if entry.claim.state == ShareState::Draining {
                self.claim.folder().forget_request(entry.claim.token);
            }
        }
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inside {
    fn runners(&self) -> impl Iterator<Item = (&str, Arc<dyn Runner>)> {
        self.driven.iter().filter_map(|(device, driven)| Some((device.as_str(), driven.runner.upgrade()?)))
    }

    fn goes_on(&self, device: &str) -> bool {
        self.entries.iter().any(|entry| entry.claim.device == device && entry.lease.state().goes_on())
    }

    /// Ends the leases on a device after its runner has failed for good.
    fn lose_devices(&self) {
        let failed: Vec<_> = self
            .runners()
            .filter(|(device, _)| self.goes_on(device))
            .filter_map(|(device, runner)| Some((device.to_owned(), runner.failed()?)))
            .collect();
        for (device, why) in failed {
            tracing::warn!(device, %why, "the device is lost for this run");
            let here = self.entries.iter().filter(|entry| entry.claim.device == device);
            here.for_each(|entry| entry.lease.lose_device());
        }
    }

    /// Ends the runner of a device without any live lease. Also ends calls for ended leases on devices where
    /// other leases are live.
    fn end_what_is_over(&mut self) {
        let now = Instant::now();
        let mut overdue = Vec::new();
        for entry in self.entries.iter_mut().filter(|entry| !entry.lease.state().goes_on()) {
            let is_overdue = match entry.lease.wait_idle(now) {
                true => false,
                false => now.saturating_duration_since(*entry.over_since.get_or_insert(now)) >= OVERDUE,
            };
            overdue.push((entry.claim.device.clone(), entry.claim.token, is_overdue));
        }
        let devices: Vec<String> = self.driven.keys().cloned().collect();
        for device in devices {
            let here = || overdue.iter().filter(|(of, ..)| *of == device);
            let late = here().find(|(.., is_overdue)| *is_overdue);
            let is_busy = self.entries.iter().any(|entry| entry.claim.device == device && !entry.lease.wait_idle(now));
            let goes_on = self.goes_on(&device);
            let Some(driven) = self.driven.get_mut(&device).filter(|driven| !driven.is_closing) else { continue };
            let Some(runner) = driven.runner.upgrade() else { continue };
            match (goes_on, late) {
                // Closing may take seconds, because a driver frees memory at its own pace.
                (false, _) if late.is_some() || !is_busy => {
                    driven.is_closing = beside("device-ends", move || runner.close());
                }
                (true, Some((_, token, _))) => {
                    runner.abandon(&format!("a call still ran after its lease {token} ended"));
                    self.entries.iter_mut().for_each(|entry| entry.over_since = None);
                }
                _ => {}
            }
        }
    }

    /// Tells a device that still serves other leases to free the models of an ended lease.
    fn have_forgotten(&self, over: &Entry) {
        let (device, token) = (over.claim.device.clone(), over.claim.token);
        if !self.goes_on(&device) {
            return;
        }
        let Some(runner) = self.driven.get(&device).and_then(|driven| driven.runner.upgrade()) else { return };
        let others =
            || self.entries.iter().filter(|entry| entry.claim.device == device && entry.lease.state().goes_on());
        let needed = |model: &&String| others().any(|entry| entry.models.contains(model));
        let models: Vec<String> = over.models.iter().filter(|model| !needed(model)).cloned().collect();
        beside("device-forgets", move || {
            if let Err(error) = runner.forget(token, &models, Instant::now() + FORGETTING) {
                tracing::warn!(device, lease = token, %error, "the device's process did not free an ended lease");
                // The next process starts without those models.
                runner.abandon("it did not free an ended lease");
            }
        });
    }
}

/// Runs a slow action on a thread of its own. Returns whether the thread started.
fn beside(name: &str, act: impl FnOnce() + Send + 'static) -> bool {
    let thread = Builder::new().name(name.to_owned()).spawn(act);
    thread.inspect_err(|error| tracing::warn!(%error, "cannot start a thread that frees a device")).is_ok()
}

impl fmt::Debug for Book {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Book").field("claim", self.claim.claim()).field("ttl", &self.ttl).finish_non_exhaustive()
    }
}
