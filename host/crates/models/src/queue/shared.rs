use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Batching;
use super::call::Call;
use super::scheduler::{Pick, Scheduler};
use super::turns::{Asking, Turn, Turns};
use super::watched_leases::WatchedLeases;
use super::work::{Batch, Rules};
use crate::{InferenceError, ModelFacts, RowIndependence, Runner};
use sage_observe::ModelCounters;
use sage_plan::ModelSpec;

/// The state that the callers of a [`DeviceQueue`](super::DeviceQueue) share with its threads: waiting calls,
/// loaded models, and the order of calls.
pub(super) struct Shared {
    /// The name of the device.
    pub(super) name: String,
    pub(super) runner: Arc<dyn Runner>,
    inside: Mutex<Inside>,
    pub(super) work: Condvar,
    /// Signalled when a thread has ended.
    ended: Condvar,
    /// Whether the run is cut, so that no caller waits for a result any more.
    pub(super) cut: AtomicBool,
    pub(super) leases: Mutex<WatchedLeases>,
    /// The turns with other runs, if other runs may have shares of the device.
    pub(super) turns: Option<Turns>,
}

pub(super) struct Inside {
    pub(super) scheduler: Scheduler<Arc<Call>>,
    /// Models by their number.
    pub(super) models: Vec<Arc<Model>>,
    /// Models to load. The requester of each waits for it, or has left.
    pub(super) loads: VecDeque<Load>,
    pub(super) closed: bool,
    pub(super) threads: usize,
}

/// A loaded model.
#[derive(Debug, Clone)]
pub(super) struct Model {
    pub(super) spec: ModelSpec,
    /// The name under which its file was loaded. Other models may use the same name.
    pub(super) runs_as: String,
    pub(super) facts: Arc<ModelFacts>,
    pub(super) batching: Batching,
    pub(super) rows: RowIndependence,
    pub(super) counters: Arc<ModelCounters>,
}

/// A model to load.
pub(super) struct Load {
    pub(super) spec: ModelSpec,
    /// The name under which to load its file.
    pub(super) file: String,
    pub(super) until: Instant,
    /// For a loaded model: whether runs must test the independence of its rows.
    pub(super) shows: bool,
    pub(super) done: SyncSender<Result<Arc<ModelFacts>, InferenceError>>,
}

/// The next action of a thread.
pub(super) enum Job<'a> {
    Load(Load),
    /// A batch with this run's turn, if it takes turns with other runs.
    Run(Batch<Arc<Call>>, Arc<Model>, Option<Turn<'a>>),
}

impl Shared {
    pub(super) fn new(name: &str, runner: Arc<dyn Runner>, turns: Option<Turns>) -> Self {
        let inside = Inside {
            scheduler: Scheduler::new(),
            models: Vec::new(),
            loads: VecDeque::new(),
            closed: false,
            threads: 0,
        };
        Self {
            name: name.to_owned(),
            runner,
            inside: Mutex::new(inside),
            work: Condvar::new(),
            ended: Condvar::new(),
            cut: AtomicBool::new(false),
            leases: Mutex::default(),
            turns,
        }
    }

    /// Waits for the next job. `None` after the device is closed. `asking` is a request for a turn that the
    /// thread has already made.
    pub(super) fn next<'a>(&'a self, mut asking: Option<Asking<'a>>) -> Option<Job<'a>> {
        let mut inside = self.lock();
        loop {
            if inside.closed {
                return None;
            }
            if let Some(load) = inside.loads.pop_front() {
                return Some(Job::Load(load));
            }
            let now = Instant::now();
            for call in inside.scheduler.take_late(now) {
                call.fail(InferenceError::Deadline);
            }
            let mut turn = None;
            if let Some(turns) = self.turns.as_ref().filter(|_| inside.scheduler.waiting() > 0) {
                match asking.take().unwrap_or_else(|| turns.ask()).take(now) {
                    Ok(taken) => turn = Some(taken),
                    // The batch is chosen only when the turn has come, because more calls may join until
                    // then.
                    Err(refused) => {
                        drop(inside);
                        refused.wait();
                        asking = Some(refused);
                        inside = self.lock();
                        continue;
                    }
                }
            }
            asking = None;
            match inside.scheduler.pick(now) {
                Pick::Run(batch) => {
                    if inside.scheduler.waiting() > 0 {
                        self.work.notify_one();
                    }
                    let model = inside.models.get(batch.model).map(Arc::clone);
                    let Some(model) = model else { continue };
                    return Some(Job::Run(batch, model, turn));
                }
                Pick::Wait(moment) => {
                    drop(turn);
                    let waited = self.work.wait_timeout(inside, moment.saturating_duration_since(now));
                    inside = waited.map_or_else(|poisoned| poisoned.into_inner().0, |(inside, _)| inside);
                }
                Pick::Nothing => {
                    drop(turn);
                    inside = self.work.wait(inside).unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    /// Waits for this run's turn, for a run outside of its calls. `None` if the run takes no turns.
    ///
    /// # Errors
    /// The turn did not come before `until`, or the device is closed.
    pub(super) fn turn(&self, until: Instant) -> Result<Option<Turn<'_>>, InferenceError> {
        let Some(turns) = &self.turns else { return Ok(None) };
        let mut asking: Asking<'_> = turns.ask();
        loop {
            match asking.take(Instant::now()) {
                Ok(turn) => return Ok(Some(turn)),
                Err(refused) => asking = refused,
            }
            if self.lock().closed {
                return Err(self.closed());
            }
            if Instant::now() >= until {
                return Err(InferenceError::Deadline);
            }
            asking.wait();
        }
    }

    /// Publishes to the other runs on the device that this process is alive.
    pub(super) fn look(&self) {
        if let Some(turns) = &self.turns {
            turns.look(Instant::now());
        }
    }

    /// Changes the scheduler. Wakes no thread, because the caller is a thread that calls [`Shared::next`]
    /// afterwards.
    pub(super) fn schedule<R>(&self, change: impl FnOnce(&mut Scheduler<Arc<Call>>) -> R) -> R {
        change(&mut self.lock().scheduler)
    }

    /// The facts of a model, if it is already loaded.
    pub(super) fn known(&self, spec: &ModelSpec) -> Option<Result<Arc<ModelFacts>, InferenceError>> {
        self.lock().known(spec)
    }

    /// Adds a loaded model.
    pub(super) fn add(&self, model: Model, row_time: Option<Duration>) -> Result<Arc<ModelFacts>, InferenceError> {
        let mut inside = self.lock();
        // Two threads may have loaded it at the same time.
        if let Some(known) = inside.known(&model.spec) {
            return known;
        }
        let rules = Rules {
            max_rows: usize::try_from(model.spec.max_rows).unwrap_or(usize::MAX).max(1),
            max_delay: model.spec.max_delay,
            // A model with evidence only from its graph has no call that is long enough to be split. Such a
            // call is first tested by runs, or refused.
            cut: model.rows.is_certain() || model.rows == RowIndependence::ByGraph,
            together: model.rows.is_certain() && model.batching.is_on(),
        };
        inside.scheduler.add_model(rules, row_time);
        let facts = Arc::clone(&model.facts);
        inside.models.push(Arc::new(model));
        Ok(facts)
    }

    /// Records the independence of rows that runs have shown. If the rows are independent, calls of the model
    /// may be split from now on.
    pub(super) fn shown(&self, name: &str, rows: RowIndependence) {
        let mut inside = self.lock();
        let Some(number) = inside.models.iter().position(|model| model.spec.name == name) else { return };
        if let Some(model) = inside.models.get_mut(number) {
            *model = Arc::new(Model { rows, ..Model::clone(model) });
        }
    }

    pub(super) fn model(&self, name: &str) -> Option<Arc<Model>> {
        self.lock().models.iter().find(|model| model.spec.name == name).map(Arc::clone)
    }

    pub(super) fn close(&self, until: Instant) -> bool {
        let mut inside = self.lock();
        if !inside.closed {
            inside.closed = true;
            // The requesters of loads see their channels closed.
            inside.loads.clear();
            let waiting = inside.scheduler.take_all();
            drop(inside);
            self.work.notify_all();
            for call in waiting {
                call.fail(self.closed());
            }
            self.runner.close();
            inside = self.lock();
        }
        while inside.threads > 0 {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.ended.wait_timeout(inside, left);
            inside = waited.map_or_else(|poisoned| poisoned.into_inner().0, |(inside, _)| inside);
        }
        drop(inside);
        if let Some(turns) = &self.turns {
            turns.leave();
        }
        true
    }

    pub(super) fn closed(&self) -> InferenceError {
        lost(format!("{} was closed", self.name))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inside {
    /// The facts of the loaded model with this name, or an error if another model has the name.
    pub(super) fn known(&self, spec: &ModelSpec) -> Option<Result<Arc<ModelFacts>, InferenceError>> {
        let known = self.models.iter().find(|model| model.spec.name == spec.name)?;
        if known.spec != *spec {
            let message = format!("two models called \"{}\" on one device", spec.name);
            return Some(Err(InferenceError::Unsupported(message)));
        }
        Some(Ok(Arc::clone(&known.facts)))
    }
}

/// Records the end of a thread, however it ended.
pub(super) struct Ended<'a>(pub(super) &'a Shared);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.lock().threads -= 1;
        self.0.ended.notify_all();
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("name", &self.name).field("runner", &self.runner).finish_non_exhaustive()
    }
}

pub(super) fn lost(why: String) -> InferenceError {
    InferenceError::DeviceLost(why)
}
