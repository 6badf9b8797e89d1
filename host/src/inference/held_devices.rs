use std::collections::BTreeMap;
use std::fmt;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use super::{Lease, LeaseState};
use crate::plan::StageId;
use crate::resources::{BusyLock, DeviceClaim, HeldClaim, ResourceError, ShareState, since_boot};

/// A run's leases on devices, by stage and instance, and the thread that keeps them: it renews them in the machine's book, sees to it that one
/// that somebody asks for is given up, and takes a share out of the book when the device is free of it. On drop they are released.
///
/// ```text
///  every 250 ms: was I stopped?  ─▶ all leases have expired, out of the book with them
///                a quarter of their time over?  ─▶ heartbeat
///                a request for one?  ─▶ Lease::revoke(grace)
///                ended, and nothing runs for it?  ─▶ busy lock let go, out of the book
/// ```
///
/// **Who waits for whom.** The thread waits for the ledger's lock, as everybody who takes something, and for nothing else. Dropping this waits for
/// the thread where nothing runs for any lease; otherwise the thread goes on by itself until that is so, and the claim stays as long: what is not
/// free is not called free.
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
    busy: Option<BusyLock>,
}

/// How often requests are looked for: whoever asks for a lease waits this long at most before anything is done about it.
const LOOK: Duration = Duration::from_millis(250);
/// Leases are renewed this many times before they would expire.
const BEATS: u32 = 4;

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
        let beat = claim.beat()?;
        let mut instances: BTreeMap<_, Vec<Arc<Lease>>> = BTreeMap::new();
        let mut entries = Vec::new();
        for InstanceLease { stage, claim } in leases {
            let lease = Lease::held(claim.token, claim.device.as_str(), claim.share, claim.memory);
            lease.keep_until(beat.saturating_add(ttl));
            instances.entry((stage, claim.instance)).or_default().push(Arc::clone(&lease));
            entries.push(Entry { lease, claim, busy: None });
        }
        let inside = Inside { entries, is_stopping: false, beat, has_expired: false, is_unsaid: false };
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

    /// Takes the busy lock of a lease, for the process that drives its device to inherit: as long as that has it, the share is not free, even if
    /// this process is killed. Let go when the lease is over and nothing runs for it. The same lock again where it was taken before.
    ///
    /// # Errors
    /// The lease folder's errors; [`ResourceError::UnknownLease`] for a lease that is not held here, or over.
    pub fn busy(&self, token: u64) -> Result<OwnedFd, ResourceError> {
        let held = self.all().map(|lease| lease.token()).collect();
        let unknown = ResourceError::UnknownLease { token, held };
        let Some(kept) = &self.kept else { return Err(unknown) };
        let mut inside = kept.book.inside();
        let Some(entry) = inside.entries.iter_mut().find(|entry| entry.claim.token == token) else {
            return Err(unknown);
        };
        let lock = match entry.busy.take() {
            Some(lock) => lock,
            None => kept.book.claim.folder().busy(kept.book.claim.claim(), &entry.claim)?,
        };
        let shared = lock.share();
        entry.busy = Some(lock);
        shared
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
            self.renew(inside);
        }
        self.look_for_requests(inside);
        self.let_go(inside);
        if inside.is_unsaid {
            let shares = inside.entries.iter().filter(|_| !inside.has_expired).map(|entry| entry.claim.clone());
            match self.claim.change_devices(shares.collect()) {
                Ok(()) => inside.is_unsaid = false,
                Err(error) => tracing::warn!(%error, "cannot write down what leases on devices have become"),
            }
        }
    }

    fn renew(&self, inside: &mut Inside) {
        match self.claim.beat() {
            Ok(beat) => {
                inside.beat = beat;
                inside.entries.iter().for_each(|entry| entry.lease.keep_until(beat.saturating_add(self.ttl)));
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
        let is_over = |entry: &Entry| {
            let is_held = matches!(entry.lease.state(), LeaseState::Pending | LeaseState::Held | LeaseState::Draining);
            !is_held && entry.lease.wait_idle(Instant::now())
        };
        // Dropping an entry lets go of its busy lock: the device is free of it.
        let over: Vec<Entry> = inside.entries.extract_if(.., |entry| is_over(entry)).collect();
        inside.is_unsaid |= !over.is_empty();
        for entry in over.iter().filter(|entry| entry.claim.state == ShareState::Draining) {
            self.claim.folder().forget_request(entry.claim.token);
        }
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Book {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Book").field("claim", self.claim.claim()).field("ttl", &self.ttl).finish_non_exhaustive()
    }
}
