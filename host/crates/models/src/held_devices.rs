use std::collections::BTreeMap;
use std::fmt;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use super::{Device, InferenceError, Lease, LeaseLocks, LeaseState, Runner, Turns};
use sage_machine::{DeviceClaim, HeldClaim, ResourceError, ShareState, since_boot};
use sage_plan::StageId;

/// A run's leases on devices, by stage and instance, and the thread that keeps them: it renews them in the machine's book, sees to it that one
/// that somebody asks for is given up, and takes a share out of the book when the device is free of it. On drop they are released.
///
/// ```text
///  every 250 ms: was I stopped?  ─▶ all leases have expired, out of the book with them
///                a quarter of their time over?  ─▶ heartbeat, and the device's process is told
///                a request for one?  ─▶ Lease::revoke(grace)
///                its device is lost for good?  ─▶ so is the lease
///                ended, and nothing runs for it?  ─▶ out of the book
/// ```
///
/// **A device in a process of its own** ([`HeldDevices::drive`]) holds what it holds until it lets go, so the end of a lease reaches it too. With the
/// last lease of this run on the device the process is ended. While others are held it goes on for them: a run that is not over when
/// its lease's grace is costs the process and a restart; then it gives back the models that only the ended lease's operator lists, and that
/// lease's lock. Until the lock is let go, by that or by the process's end, the book says `busy`, and the share is not free.
///
/// **Who waits for whom.** The thread waits a moment for the ledger's lock where something is to be written down, and for nothing else: a heartbeat
/// needs no lock, and what a device's process must end or give back, threads of their own wait for. Dropping this waits for the thread where nothing runs for any
/// lease; otherwise the thread goes on by itself until that is so, and the claim stays as long: what is not free is not called free.
#[derive(Debug)]
#[must_use = "the devices are free again as soon as this is dropped"]
pub struct HeldDevices {
    instances: BTreeMap<(StageId, u32), Vec<Arc<Lease>>>,
    kept: Option<Kept>,
}

/// A lease for an instance, as the claim that it stands in says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceLease {
    /// The stage.
    pub stage: StageId,
    /// What is in the claim: of which device, for which instance.
    pub claim: DeviceClaim,
    /// The models that the operator lists.
    pub models: Vec<String>,
}

#[derive(Debug)]
struct Kept {
    book: Arc<Book>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread and its owner share.
struct Book {
    claim: Arc<HeldClaim>,
    ttl: Duration,
    inside: Mutex<Inside>,
    stopping: Condvar,
}

struct Inside {
    entries: Vec<Entry>,
    /// Devices in processes of their own, and what runs their models.
    driven: BTreeMap<String, Driven>,
    /// Leases whose devices are lost: told as that as long as the run lasts.
    lost: Vec<DeviceClaim>,
    is_stopping: bool,
    /// When the leases were last renewed.
    beat: Duration,
    /// They were not renewed in time: nothing is left to keep.
    has_expired: bool,
    /// The book does not say yet what has become of them.
    is_unsaid: bool,
}

/// A lease that is in the book, or whose device is not free yet.
struct Entry {
    lease: Arc<Lease>,
    claim: DeviceClaim,
    models: Vec<String>,
    /// When it was first seen to be over while something ran for it.
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
    /// Not the owner: what drives the device may be stuck for ever, the run's claim must not be.
    book: Weak<Book>,
}

/// How often requests are looked for: whoever asks for a lease waits this long at most before anything is done about it.
const LOOK: Duration = Duration::from_millis(250);
/// Leases are renewed this many times before they would expire.
const BEATS: u32 = 4;
/// How long a run may go on after its lease is over before it is ended with its process: its caller, who looks every 20 ms, is told how the lease
/// ended, and not that the device was lost.
const OVERDUE: Duration = Duration::from_millis(100);
/// How long an ended lease's models may take to be given back: a slot comes free when a run is over, or its deadline.
const FORGETTING: Duration = Duration::from_secs(60);
/// What writing down may wait for the ledger, which is held for microseconds. Tried again at the next look, after the heartbeat.
const WRITING: Duration = Duration::from_millis(50);

impl HeldDevices {
    /// Leases for a run that wants none.
    pub fn none() -> Self {
        Self { instances: BTreeMap::new(), kept: None }
    }

    /// Keeps the leases of a claim from now on.
    ///
    /// # Errors
    /// The claim cannot be renewed, or there is no thread to do it.
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

    /// The leases of an instance, one for each device; none where it asked for none.
    #[must_use]
    pub fn of(&self, stage: StageId, instance: u32) -> &[Arc<Lease>] {
        self.instances.get(&(stage, instance)).map(Vec::as_slice).unwrap_or_default()
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Lease>> {
        self.instances.values().flatten()
    }

    /// The locks of the leases on a device, for the process that drives it to inherit: as long as that has one, the share is not free, even if
    /// this process is killed.
    #[must_use]
    pub fn locks(&self, device: &str) -> Arc<dyn LeaseLocks> {
        let book = self.kept.as_ref().map_or_else(Weak::new, |kept| Arc::downgrade(&kept.book));
        Arc::new(DeviceLocks { device: device.to_owned(), book })
    }

    /// When the leases are over unless they are renewed, as a time since the machine's start.
    #[must_use]
    pub fn kept_until(&self) -> Duration {
        let kept = self.kept.as_ref();
        kept.map_or(Duration::MAX, |kept| kept.book.inside().beat.saturating_add(kept.book.ttl))
    }

    /// The turns that this run takes with others that hold shares of a device; none where it has all of it. Where they cannot be kept that is
    /// said, and the run goes on without them: beside others' runs then.
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
                tracing::warn!(device = device.id, %error, "this run takes no turns with others that hold shares of the device");
            })
            .ok()
    }

    /// From now on `runner`, a process of its own, runs the models of a device: it is told when the leases are renewed, and what their ends mean
    /// for it.
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
        // Whoever finds a lease expired looks while nobody else holds the ledger alone: what is held now stays marked.
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
            // A panic in it was said by the hook already.
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
        inside.lose_devices();
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

    /// A device that never runs anything again is none to hold.
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

    /// Ends what drives a device for which no lease goes on, and what runs for leases that are over where others go on.
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
                // It may take seconds: a driver gives memory back when it likes.
                (false, _) if late.is_some() || !is_busy => {
                    driven.is_closing = beside("device-ends", move || runner.close());
                }
                (true, Some((_, token, _))) => {
                    runner.abandon(&format!("lease {token} is over, and what ran for it was not"));
                    self.entries.iter_mut().for_each(|entry| entry.over_since = None);
                }
                _ => {}
            }
        }
    }

    /// Has a device that goes on for others give back what it has for a lease that is over.
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
                tracing::warn!(device, lease = token, %error, "the device's process does not give back what the lease had");
                // The next one has none of it.
                runner.abandon("it did not give back what an ended lease had");
            }
        });
    }
}

/// Does something that may take long on a thread of its own; whether there is one.
fn beside(name: &str, act: impl FnOnce() + Send + 'static) -> bool {
    let thread = Builder::new().name(name.to_owned()).spawn(act);
    thread.inspect_err(|error| tracing::warn!(%error, "no thread to end what leases on devices had")).is_ok()
}

impl fmt::Debug for Book {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Book").field("claim", self.claim.claim()).field("ttl", &self.ttl).finish_non_exhaustive()
    }
}
