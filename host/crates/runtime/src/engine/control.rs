use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::bell::Bell;
use super::epochs::Epochs;
use super::error::PipelineError;
use super::launcher::InstanceLauncher;
use super::savepoints::{Asked, SavepointAnswer, SavepointName};
use super::sequencer::Sequencer;
use super::stopped::Stopped;
use sage_batch::Inbox;
use sage_models::DeviceQueue;
use sage_observe::{InstanceCounters, Outcome};
use sage_sandbox::Stop;

/// The single place that decides whether a run continues. Its lanes, its supervisor and the holders of a
/// [`StopHandle`] share it.
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
    /// Rings at a drain and at a cut.
    sources_end: Bell,
    /// Rings at a cut.
    all_ends: Bell,
    state: Mutex<State>,
    changed: Condvar,
    ways: OnceLock<Ways>,
    /// Called on every cut.
    when_cut: OnceLock<Box<dyn Fn() + Send + Sync>>,
    /// The items that the end of the run waits for.
    unended: Mutex<Vec<String>>,
    /// Each output, with the start time of its current write in nanoseconds of the run; 0 while no write is in
    /// progress.
    outputs: Mutex<Vec<(String, Arc<AtomicU64>)>>,
    /// The epochs of a run with checkpoints.
    epochs: OnceLock<Arc<Epochs>>,
}

#[derive(Debug, Default)]
struct State {
    going: bool,
    aborted: bool,
    suspended: bool,
    cause: Option<PipelineError>,
}

/// The places where lanes of the run may wait for each other or for their guests.
#[derive(Default)]
pub(super) struct Ways {
    /// Inboxes, each with the counters of its consumer.
    pub(super) inboxes: Vec<(Arc<Inbox>, Arc<InstanceCounters>)>,
    pub(super) sequencers: Vec<Arc<Sequencer>>,
    /// The launcher that hosts the guests.
    pub(super) instances: Option<Weak<dyn InstanceLauncher>>,
    /// The queues in which guests wait for answers of models.
    pub(super) devices: Vec<Weak<DeviceQueue>>,
}

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
            sources_end: Bell::new(),
            all_ends: Bell::new(),
            state: Mutex::default(),
            changed: Condvar::new(),
            ways: OnceLock::new(),
            when_cut: OnceLock::new(),
            unended: Mutex::default(),
            outputs: Mutex::default(),
            epochs: OnceLock::new(),
        }
    }

    /// Nanoseconds since the run began.
    pub(super) fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Sets the waiting places. Called once, before data flows.
    pub(super) fn set_ways(&self, ways: Ways) {
        // A second call would be a bug in `run`, but harmless: the first value stays.
        let _ = self.ways.set(ways);
        // An earlier cut could not reach these places.
        if self.is_stopped() {
            self.cut();
        }
    }

    /// Allows the sources to begin. Called when every lane has started.
    pub(super) fn go(&self) {
        self.lock().going = true;
        self.changed.notify_all();
    }

    /// Waits until the sources may begin.
    pub(super) fn wait_for_go(&self) -> Result<(), Stopped> {
        let mut state = self.lock();
        while !state.going && !self.is_stopped() {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if self.is_stopped() { Err(Stopped) } else { Ok(()) }
    }

    /// Gives the run epochs, before its lanes start.
    pub(super) fn set_epochs(&self, epochs: Arc<Epochs>) {
        // A second call would be a bug in `run`, but harmless: the first value stays.
        let _ = self.epochs.set(epochs);
        if self.is_stopped() {
            self.cut();
        } else if self.draining.swap(false, Ordering::Relaxed) {
            // No lane has started. A source must not take this for the end of its input.
            self.drain();
        }
    }

    /// Stops the sources; admitted records are finished. A run with checkpoints stops behind one more epoch instead:
    /// its input has not ended, so nothing is told that it has.
    pub(super) fn drain(&self) {
        if let Some(epochs) = self.epochs.get() {
            return epochs.stop();
        }
        self.draining.store(true, Ordering::Relaxed);
        self.sources_end.ring();
        let _state = self.lock();
        self.changed.notify_all();
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.is_set()
    }

    /// The bell that rings when sources must end: at a drain and at a cut.
    pub(super) fn sources_end(&self) -> &Bell {
        &self.sources_end
    }

    /// The bell that rings when everything must end.
    pub(super) fn all_ends(&self) -> &Bell {
        &self.all_ends
    }

    /// The stop flag that guest calls check.
    pub(super) fn stop(&self) -> &Stop {
        &self.stopped
    }

    /// Records the failure of the pipeline and cuts the run. The first cause counts.
    pub(super) fn fail(&self, cause: PipelineError) -> Stopped {
        self.lock().cause.get_or_insert(cause);
        self.cut();
        Stopped
    }

    /// Stops everything behind an epoch: nothing is in flight, and a later run goes on from there.
    pub(super) fn suspend(&self) {
        self.lock().suspended = true;
        self.cut();
    }

    pub(super) fn was_suspended(&self) -> bool {
        self.lock().suspended
    }

    /// Stops everything at once.
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

    /// Adds an item that the end of the run waits for: a lane, or the completion of an output.
    pub(super) fn begin(self: &Arc<Self>, what: String) -> Unended {
        self.unended().push(what.clone());
        Unended { control: Arc::clone(self), what }
    }

    /// Adds an output. The returned number holds the start time of its current write.
    pub(super) fn output(&self, name: &str) -> Arc<AtomicU64> {
        let since = Arc::default();
        let mut outputs = self.outputs.lock().unwrap_or_else(PoisonError::into_inner);
        outputs.push((name.to_owned(), Arc::clone(&since)));
        since
    }

    fn unended(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.unended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sleeps for this time, or until the run is stopped or drained.
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

    /// Sleeps for this time, or until the run is stopped. A drain does not end the sleep.
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

    /// Cuts the run. Batches that wait in inboxes are counted as taken in and unfinished. Guests that wait for
    /// a model get no answer.
    fn cut(&self) {
        self.stopped.set();
        self.sources_end.ring();
        self.all_ends.ring();
        if let Some(epochs) = self.epochs.get() {
            epochs.cut();
        }
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

/// An item that the end of the run waits for, until it is dropped.
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

/// Stops a run from outside, for example from the thread of a signal handler. Cheap to clone.
#[derive(Debug, Clone)]
pub struct StopHandle(pub(super) Arc<Control>);

impl StopHandle {
    /// Stops the sources. Their records are finished, then the run ends.
    pub fn drain(&self) {
        self.0.drain();
    }

    /// Stops everything at once. Records in flight are counted as unfinished.
    pub fn abort(&self) {
        self.0.abort();
    }

    /// Asks for a savepoint: an epoch that is kept until somebody deletes it. With `stops`, the run stops behind it.
    /// `None` if the pipeline has no checkpoints, or the run has not begun.
    #[must_use]
    pub fn savepoint(&self, name: SavepointName, stops: bool) -> Option<SavepointAnswer> {
        let epochs = self.0.epochs.get().filter(|_| !self.0.is_stopped())?;
        let (asked, answer) = Asked::new(name, stops);
        epochs.ask(asked);
        Some(answer)
    }

    /// Whether the sources were told to stop.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.0.is_draining() || self.0.epochs.get().is_some_and(|epochs| epochs.stops())
    }

    /// Whether everything was told to stop at once, by a failure or an abort.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.0.is_stopped()
    }

    /// Whether [`StopHandle::abort`] was called, or a lane of the host panicked.
    #[must_use]
    pub fn was_aborted(&self) -> bool {
        self.0.was_aborted()
    }

    /// Sets a function that is called when the run fails or is aborted. The run should end soon after that
    /// call. Only the first function that is set through a handle counts.
    pub fn when_cut(&self, tell: impl Fn() + Send + Sync + 'static) {
        let _ = self.0.when_cut.set(Box::new(tell));
        if self.0.is_stopped()
            && let Some(tell) = self.0.when_cut.get()
        {
            tell();
        }
    }

    /// The items that the end of the run still waits for: lanes that have not ended, and outputs that are being
    /// completed.
    #[must_use]
    pub fn unended(&self) -> Vec<String> {
        self.0.unended().clone()
    }

    /// An output whose current write has lasted at least this long, if there is one.
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

    /// The outcome of the run if the program ended now.
    #[must_use]
    pub fn outcome_so_far(&self) -> Outcome {
        self.0.cause().map_or(Outcome::Interrupted, |cause| Outcome::Failed(cause.into_run_failure()))
    }
}
