use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::error::PipelineError;
use super::launcher::InstanceLauncher;
use super::sequencer::Sequencer;
use sage_batch::Inbox;
use sage_models::DeviceQueue;
use sage_observe::{InstanceCounters, Outcome};
use sage_sandbox::Stop;

/// The one place that says whether a run goes on: shared by its lanes, its supervisor and whoever holds a [`StopHandle`].
///
/// ```text
///            go            drain                     last lane ends
/// starting ─────▶ running ───────▶ sources stopped ─────────────────▶ over
///     └──────────────┴──────── fail / abort ──▶ cut ──────────────────▶
/// ```
pub(super) struct Control {
    began: Instant,
    draining: AtomicBool,
    stopped: Stop,
    state: Mutex<State>,
    changed: Condvar,
    ways: OnceLock<Ways>,
    /// Called with every cut.
    when_cut: OnceLock<Box<dyn Fn() + Send + Sync>>,
    /// What the run's end waits for.
    unended: Mutex<Vec<String>>,
    /// Each output, and when it began the write that it is in, in nanoseconds of the run; 0 while it is in none.
    outputs: Mutex<Vec<(String, Arc<AtomicU64>)>>,
}

#[derive(Debug, Default)]
struct State {
    going: bool,
    aborted: bool,
    cause: Option<PipelineError>,
}

/// Where lanes of the run may wait for each other, or for their guests.
#[derive(Default)]
pub(super) struct Ways {
    /// Inboxes, each with the counters of who takes from it.
    pub(super) inboxes: Vec<(Arc<Inbox>, Arc<InstanceCounters>)>,
    pub(super) sequencers: Vec<Arc<Sequencer>>,
    /// Where guests live.
    pub(super) instances: Option<Weak<dyn InstanceLauncher>>,
    /// Where guests wait for answers of models.
    pub(super) devices: Vec<Weak<DeviceQueue>>,
}

/// The run is over for this lane: it was cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stopped;

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control")
            .field("draining", &self.draining)
            .field("stopped", &self.stopped)
            .finish_non_exhaustive()
    }
}

impl Control {
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            draining: AtomicBool::new(false),
            stopped: Stop::default(),
            state: Mutex::default(),
            changed: Condvar::new(),
            ways: OnceLock::new(),
            when_cut: OnceLock::new(),
            unended: Mutex::default(),
            outputs: Mutex::default(),
        }
    }

    /// Nanoseconds since the run began.
    pub(super) fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Told once, before the run goes.
    pub(super) fn set_ways(&self, ways: Ways) {
        // A second set would be a fault of `run`, and harmless: the first stays.
        let _ = self.ways.set(ways);
        // Whoever cut it before did not know the ways.
        if self.is_stopped() {
            self.cut();
        }
    }

    /// Every lane has started: sources may begin.
    pub(super) fn go(&self) {
        self.lock().going = true;
        self.changed.notify_all();
    }

    /// What sources wait for.
    pub(super) fn wait_for_go(&self) -> Result<(), Stopped> {
        let mut state = self.lock();
        while !state.going && !self.is_stopped() {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if self.is_stopped() { Err(Stopped) } else { Ok(()) }
    }

    /// Sources stop; what was admitted is finished.
    pub(super) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
        let _state = self.lock();
        self.changed.notify_all();
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.is_set()
    }

    /// What calls of guests look at.
    pub(super) fn stop(&self) -> &Stop {
        &self.stopped
    }

    /// The pipeline failed; the first cause counts.
    pub(super) fn fail(&self, cause: PipelineError) -> Stopped {
        self.lock().cause.get_or_insert(cause);
        self.cut();
        Stopped
    }

    /// Everything stops at once.
    pub(super) fn abort(&self) {
        self.lock().aborted = true;
        self.cut();
        let instances = self.ways.get().and_then(|ways| ways.instances.as_ref()?.upgrade());
        if let Some(instances) = instances {
            instances.abort();
        }
    }

    pub(super) fn was_aborted(&self) -> bool {
        self.lock().aborted
    }

    pub(super) fn cause(&self) -> Option<PipelineError> {
        self.lock().cause.clone()
    }

    /// The run does not end before this has: a lane, or the completion of an output.
    pub(super) fn begin(self: &Arc<Self>, what: String) -> Unended {
        self.unended().push(what.clone());
        Unended { control: Arc::clone(self), what }
    }

    /// Adds an output, which sets when it began a write.
    pub(super) fn output(&self, name: &str) -> Arc<AtomicU64> {
        let since = Arc::default();
        let mut outputs = self.outputs.lock().unwrap_or_else(PoisonError::into_inner);
        outputs.push((name.to_owned(), Arc::clone(&since)));
        since
    }

    fn unended(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.unended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sleeps, but no longer than the run goes on undisturbed.
    pub(super) fn rest(&self, time: Duration) {
        let until = Instant::now() + time;
        let mut state = self.lock();
        while !self.is_stopped() && !self.is_draining() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Sleeps, but no longer than the run goes on; a drain does not end it.
    pub(super) fn pause(&self, time: Duration) {
        let until = Instant::now() + time;
        let mut state = self.lock();
        while !self.is_stopped() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// What waits in inboxes is counted as taken in and left undone. Guests that wait for a model have no answer.
    fn cut(&self) {
        self.stopped.set();
        if let Some(tell) = self.when_cut.get() {
            tell();
        }
        if let Some(ways) = self.ways.get() {
            for (inbox, consumer) in &ways.inboxes {
                for batch in inbox.cut() {
                    consumer.records_in.add(batch.len() as u64);
                    consumer.unfinished.add(batch.len() as u64);
                }
            }
            ways.sequencers.iter().for_each(|sequencer| sequencer.cut());
            ways.devices.iter().filter_map(Weak::upgrade).for_each(|device| device.cut());
        }
        let _state = self.lock();
        self.changed.notify_all();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Something that the run's end waits for, until it is dropped.
#[derive(Debug)]
pub(super) struct Unended {
    control: Arc<Control>,
    what: String,
}

impl Drop for Unended {
    fn drop(&mut self) {
        let mut unended = self.control.unended();
        if let Some(at) = unended.iter().position(|what| *what == self.what) {
            unended.swap_remove(at);
        }
    }
}

/// Stops a run from outside: from a signal handler's thread, say. Cheap to clone.
#[derive(Debug, Clone)]
pub struct StopHandle(pub(super) Arc<Control>);

impl StopHandle {
    /// Sources stop, what they had sent is finished, then the run ends.
    pub fn drain(&self) {
        self.0.drain();
    }

    /// Everything stops at once; what was under way is counted as unfinished.
    pub fn abort(&self) {
        self.0.abort();
    }

    /// Has this called when the run fails or is stopped at once: from then on it should end soon. Only the first such call of a handle counts.
    pub fn when_cut(&self, tell: impl Fn() + Send + Sync + 'static) {
        let _ = self.0.when_cut.set(Box::new(tell));
        if self.0.is_stopped()
            && let Some(tell) = self.0.when_cut.get()
        {
            tell();
        }
    }

    /// What the run's end still waits for: lanes that have not ended, outputs that are being completed.
    #[must_use]
    pub fn unended(&self) -> Vec<String> {
        self.0.unended().clone()
    }

    /// The output that has been in one write for so long, if there is one.
    #[must_use]
    pub fn stands_still(&self, at_least: Duration) -> Option<String> {
        let (now, at_least) = (self.0.now(), u64::try_from(at_least.as_nanos()).unwrap_or(u64::MAX));
        let outputs = self.0.outputs.lock().unwrap_or_else(PoisonError::into_inner);
        let writes = |since: &AtomicU64| match since.load(Ordering::Relaxed) {
            0 => false,
            since => now.saturating_sub(since) >= at_least,
        };
        outputs.iter().find(|(_, since)| writes(since)).map(|(name, _)| format!("sink \"{name}\""))
    }

    /// How the run went if the program ends now.
    #[must_use]
    pub fn outcome_so_far(&self) -> Outcome {
        self.0.cause().map_or(Outcome::Interrupted, |cause| Outcome::Failed(cause.into_run_failure()))
    }
}
