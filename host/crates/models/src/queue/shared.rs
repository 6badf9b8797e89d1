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

/// What a [`DeviceQueue`](super::DeviceQueue)'s callers share with its threads: what waits, what was loaded, and whose turn it is.
pub(super) struct Shared {
    /// The device.
    pub(super) name: String,
    pub(super) runner: Arc<dyn Runner>,
    inside: Mutex<Inside>,
    pub(super) work: Condvar,
    /// A thread has ended.
    ended: Condvar,
    /// Nobody is to wait for an answer any more.
    pub(super) cut: AtomicBool,
    pub(super) leases: Mutex<WatchedLeases>,
    /// Where other runs may have shares of the device.
    pub(super) turns: Option<Turns>,
}

pub(super) struct Inside {
    pub(super) scheduler: Scheduler<Arc<Call>>,
    /// By their number.
    pub(super) models: Vec<Arc<Model>>,
    /// Each has a caller that waits for it, or has gone.
    pub(super) loads: VecDeque<Load>,
    pub(super) closed: bool,
    pub(super) threads: usize,
}

/// A model that was loaded.
#[derive(Debug, Clone)]
pub(super) struct Model {
    pub(super) spec: ModelSpec,
    /// The name that its file was loaded under, which other models may run as too.
    pub(super) runs_as: String,
    pub(super) facts: Arc<ModelFacts>,
    pub(super) batching: Batching,
    pub(super) rows: RowIndependence,
    pub(super) counters: Arc<ModelCounters>,
}

/// A model to be loaded.
pub(super) struct Load {
    pub(super) spec: ModelSpec,
    /// The name to load its file under.
    pub(super) file: String,
    pub(super) until: Instant,
    /// Of one that is loaded: runs are to show whether its rows are independent.
    pub(super) shows: bool,
    pub(super) done: SyncSender<Result<Arc<ModelFacts>, InferenceError>>,
}

/// What a thread does next.
pub(super) enum Job<'a> {
    Load(Load),
    /// In this run's turn, where it takes turns.
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

    /// What to do next; waits for it. `None` once the device is closed. Who has asked for a turn already says so.
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
                    // What to run is chosen when its turn has come: until then more may come that runs with it.
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

    /// Waits for this run's turn, for what is not one of its calls. `None` where it takes none.
    ///
    /// # Errors
    /// It did not come until then; the device is closed.
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

    /// Says to those that it takes turns with that this process is alive.
    pub(super) fn look(&self) {
        if let Some(turns) = &self.turns {
            turns.look(Instant::now());
        }
    }

    /// Does something with the scheduler. Wakes nobody: the caller is a thread that asks for [`Shared::next`] afterwards.
    pub(super) fn schedule<R>(&self, change: impl FnOnce(&mut Scheduler<Arc<Call>>) -> R) -> R {
        change(&mut self.lock().scheduler)
    }

    /// A model that is there by now, if it is.
    pub(super) fn known(&self, spec: &ModelSpec) -> Option<Result<Arc<ModelFacts>, InferenceError>> {
        self.lock().known(spec)
    }

    /// A model that was loaded.
    pub(super) fn add(&self, model: Model, row_time: Option<Duration>) -> Result<Arc<ModelFacts>, InferenceError> {
        let mut inside = self.lock();
        // Two may have asked for it at once.
        if let Some(known) = inside.known(&model.spec) {
            return known;
        }
        let rules = Rules {
            max_rows: usize::try_from(model.spec.max_rows).unwrap_or(usize::MAX).max(1),
            max_delay: model.spec.max_delay,
            // What only the graph shows has no call that is long enough to be cut: it is shown or refused before.
            cut: model.rows.is_certain() || model.rows == RowIndependence::ByGraph,
            together: model.rows.is_certain() && model.batching.is_on(),
        };
        inside.scheduler.add_model(rules, row_time);
        let facts = Arc::clone(&model.facts);
        inside.models.push(Arc::new(model));
        Ok(facts)
    }

    /// What runs have shown of the rows of a loaded model, of which calls may be cut from here on if they are independent.
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
            // Those who wait for a model see its channel closed.
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
    /// A model that was loaded by this name; an error if it was another.
    pub(super) fn known(&self, spec: &ModelSpec) -> Option<Result<Arc<ModelFacts>, InferenceError>> {
        let known = self.models.iter().find(|model| model.spec.name == spec.name)?;
        if known.spec != *spec {
            let message = format!("two models called \"{}\" on one device", spec.name);
            return Some(Err(InferenceError::Unsupported(message)));
        }
        Some(Ok(Arc::clone(&known.facts)))
    }
}

/// A thread that has ended, however it did.
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
