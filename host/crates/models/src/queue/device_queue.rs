use std::sync::atomic::Ordering;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::call::Call;
use super::dispatcher::Dispatcher;
use super::lease_table::TooMuchWaits;
use super::shared::{Ended, Load, Model, Shared, lost};
use super::turns::Turns;
use super::work::{Kind, Work};
use super::{Batching, DeviceCpus};
use crate::{InferenceError, Lease, ModelFacts, RowIndependence, Runner, Tensor};
use sage_observe::{DeviceNumbers, DeviceReading, InferenceCounters};
use sage_plan::ModelSpec;

/// One device: calls of all leases on it wait here, and threads of its own run them, as many as its [`Runner`] has slots.
///
/// **Who waits for whom.** Callers wait for their own answer and for nothing else (see `Call`); the lock is held to put a call in or to pick what
/// runs, never during a run. The threads wait on `work`: a call or a model to load wakes one, which wakes another if it leaves something, and so
/// does closing; who waits for company wakes by the clock. A thread that runs something waits for the runner, which nothing here can hurry: its
/// callers leave at their deadlines, or when the run of their pipeline is [cut](DeviceQueue::cut); the slot stays taken until the run is really
/// over. Where other runs hold shares of the device, a thread that has something to run waits for this run's turn first ([`Turns`]), which they cannot
/// keep from it by dying, stopping or hanging.
///
/// **Rows.** Calls are put together and cut only where [`RowIndependence`] says that rows do not depend on each other, and a call's inputs have as
/// many rows as each other. Else a call runs whole and alone, and one whose inputs are longer than `max_rows` is [`InferenceError::TooLarge`].
///
/// **Bounds.** A call's rows are bounded by [`DeviceQueue::MOST_ROWS`]. What one lease has waiting is bounded in calls and bytes; more is
/// [`InferenceError::Busy`]. What runs is bounded by the slots and `max_rows`. Callers that gave up leave nothing behind but what runs.
///
/// **Does not bound** what runs of other users have under way on the same device, nor what loading a model takes there: neither takes turns.
///
/// **Errors.** What a run of several calls fails of, be it an error, a panic, a deadline or the end of the device's process, each of them is told only
/// after it ran once more apart, so that one tenant's rows fail alone; a lease that fails then too runs alone from there on. So it is with runs of other
/// slots that end with the device's process: they are tried again, with nothing beside them. A runner that panics has failed; its thread lives on.
///
/// **Who pays.** A lease is charged what its runs took of the device, whatever became of them: see `Scheduler`. A run in company may take half of
/// what the shortest deadline in it leaves, and none takes longer than its own.
#[derive(Debug)]
pub struct DeviceQueue {
    shared: Arc<Shared>,
}

/// What runs may take that show whether a model's rows are independent: some seconds, on a device that others keep busy.
const SHOWING: Duration = Duration::from_secs(60);

/// A stack for what follows a stranger's graph down: what the process that examined it had.
const STACK: usize = 8 << 20;

impl DeviceQueue {
    /// Rows of one call. They may be small, and each run of `max_rows` of them is an answer to be kept until all are there: where `max_rows` is 1,
    /// so many take some 50 MiB beside their bytes, about what a lease's inputs may.
    pub const MOST_ROWS: usize = 1 << 18;

    /// Starts the threads of a device, which take these turns with other runs; none where nobody else can hold a share.
    ///
    /// # Errors
    /// [`InferenceError::DeviceLost`]: a thread cannot be made, or not be bound to the device's CPUs. None is left then.
    pub fn start(
        name: &str,
        runner: Arc<dyn Runner>,
        cpus: &DeviceCpus,
        turns: Option<Turns>,
    ) -> Result<Self, InferenceError> {
        let slots = runner.slots().max(1);
        let shared = Arc::new(Shared::new(name, runner, turns));
        // Closes what was started when a later one fails.
        let queue = Self { shared };
        for slot in 0..slots {
            let (shared, cpus) = (Arc::clone(&queue.shared), cpus.clone());
            let (bound, whether) = sync_channel(1);
            queue.shared.lock().threads += 1;
            let body = move || {
                let _ended = Ended(&shared);
                match cpus.join() {
                    Ok(_seat) => {
                        let _ = bound.send(Ok(()));
                        Dispatcher::new(&shared).run();
                    }
                    Err(error) => {
                        let _ = bound.send(Err(error.to_string()));
                    }
                }
            };
            // Linux keeps 15 characters of it.
            if let Err(error) =
                thread::Builder::new().name(format!("device-{name}-{slot}")).stack_size(STACK).spawn(body)
            {
                queue.shared.lock().threads -= 1;
                return Err(lost(format!("a thread for {name} cannot be started: {error}")));
            }
            match whether.recv() {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Err(lost(format!("a thread for {name}: {error}"))),
                Err(_) => return Err(lost(format!("a thread for {name} ended as it began"))),
            }
        }
        Ok(queue)
    }

    /// Loads a model on one of the device's threads, and measures whether its calls should run together where nothing is declared. Waits for that,
    /// and for a free slot, until `until`; what has begun then is finished and kept. One that is there already is answered at once.
    ///
    /// # Errors
    /// As [`Runner::load`]; [`InferenceError::Unsupported`] where another model has the name; the device is closed.
    pub fn load(&self, spec: &ModelSpec, until: Instant) -> Result<Arc<ModelFacts>, InferenceError> {
        self.load_file(spec, &spec.name, until)
    }

    /// The same for a file that is loaded under a name of its own: once, whatever the models are called that it serves.
    ///
    /// # Errors
    /// As [`DeviceQueue::load`].
    pub fn load_file(&self, spec: &ModelSpec, file: &str, until: Instant) -> Result<Arc<ModelFacts>, InferenceError> {
        {
            let inside = self.shared.lock();
            if inside.closed {
                return Err(self.shared.closed());
            }
            if let Some(known) = inside.known(spec) {
                return known;
            }
        }
        let load = |done| Load { spec: spec.clone(), file: file.to_owned(), until, shows: false, done };
        self.on_a_thread(load, until)
    }

    /// Has runs show, before the first call is cut, whether rows are independent that only the graph says are; waits for it at most until
    /// `until`. What has begun then is finished, for the next call.
    fn show(&self, model: &str, until: Instant) -> Result<(), InferenceError> {
        let Some(model) = self.shared.model(model) else { return Ok(()) };
        let (spec, file, end) = (model.spec.clone(), model.runs_as.clone(), Instant::now() + SHOWING);
        self.on_a_thread(|done| Load { spec, file, until: end, shows: true, done }, until).map(drop)
    }

    fn on_a_thread(
        &self,
        load: impl FnOnce(SyncSender<Result<Arc<ModelFacts>, InferenceError>>) -> Load,
        until: Instant,
    ) -> Result<Arc<ModelFacts>, InferenceError> {
        let (done, loaded) = sync_channel(1);
        {
            let mut inside = self.shared.lock();
            if inside.closed {
                return Err(self.shared.closed());
            }
            inside.loads.push_back(load(done));
        }
        self.shared.work.notify_one();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match loaded.recv_timeout(left.min(Call::LOOK)) {
                Ok(loaded) => return loaded,
                Err(RecvTimeoutError::Timeout) if left.is_zero() => return Err(InferenceError::Deadline),
                Err(RecvTimeoutError::Timeout) if self.shared.cut.load(Ordering::Acquire) => return Err(Call::cut()),
                Err(RecvTimeoutError::Timeout) => self.shared.look(),
                Err(RecvTimeoutError::Disconnected) => return Err(self.shared.closed()),
            }
        }
    }

    /// Runs a call for a lease on this device and waits for its answer, at most until `until`. The inputs are in the order of the model's facts
    /// and were checked against them. `counters` are the calling instance's.
    ///
    /// # Errors
    /// The lease is not held, or ended meanwhile; [`InferenceError::UnknownModel`] for one that was not loaded here, [`InferenceError::Busy`],
    /// [`InferenceError::Deadline`], [`InferenceError::BadInput`] for no rows at all, [`InferenceError::TooLarge`] for too many; the queue was cut;
    /// as [`Runner::run`].
    pub fn run(
        &self,
        lease: &Arc<Lease>,
        model: &str,
        inputs: Vec<Tensor>,
        until: Instant,
        counters: &Arc<InferenceCounters>,
    ) -> Result<Vec<Tensor>, InferenceError> {
        let bytes: usize = inputs.iter().map(|tensor| tensor.bytes().len()).sum();
        counters.calls.add(1);
        let answer = self.call(lease, model, inputs, bytes, until, counters);
        match &answer {
            Ok(outputs) => counters.bytes_out.add(outputs.iter().map(|tensor| tensor.bytes().len() as u64).sum()),
            Err(error) => counters.errors.count(error.code()),
        }
        answer
    }

    fn call(
        &self,
        lease: &Arc<Lease>,
        model: &str,
        inputs: Vec<Tensor>,
        bytes: usize,
        until: Instant,
        counters: &Arc<InferenceCounters>,
    ) -> Result<Vec<Tensor>, InferenceError> {
        let lease_use = lease.enter()?;
        if self.shared.cut.load(Ordering::Acquire) {
            return Err(Call::cut());
        }
        let is_to_be_shown = |model: &Model| {
            model.rows == RowIndependence::ByGraph
                && model.facts.rows_of(&inputs).is_some_and(|rows| rows as u64 > u64::from(model.spec.max_rows))
        };
        if self.shared.model(model).is_some_and(|model| is_to_be_shown(&model)) {
            self.show(model, until)?;
        }
        let call = {
            let mut inside = self.shared.lock();
            if inside.closed {
                return Err(self.shared.closed());
            }
            let found = inside.models.iter().enumerate().find(|(_, known)| known.spec.name == model);
            let (number, model) = found.ok_or_else(|| InferenceError::UnknownModel(model.to_owned()))?;
            // Inputs of different lengths are no rows of each other, whatever their model is.
            let (rows, kind) = match (&model.rows, model.facts.rows_of(&inputs)) {
                (shown, Some(rows)) if shown.is_certain() => (rows, Kind::of(&inputs)),
                (RowIndependence::ByGraph, Some(rows)) => {
                    whole(model, &inputs)?;
                    (rows, Kind::whole())
                }
                _ => {
                    whole(model, &inputs)?;
                    (1, Kind::whole())
                }
            };
            if rows == 0 {
                let input = model.facts.inputs.first().map(|spec| spec.name.clone()).unwrap_or_default();
                let (expected, got) = ("at least one row".to_owned(), "none".to_owned());
                return Err(InferenceError::BadInput { input, expected, got });
            }
            if rows > Self::MOST_ROWS {
                let (size, limit) = (rows as u64, Self::MOST_ROWS as u64);
                return Err(InferenceError::TooLarge { what: "rows are".to_owned(), size, limit });
            }
            counters.rows.add(rows as u64);
            counters.bytes_in.add(bytes as u64);
            let call = Call::new(lease_use, inputs, rows, Arc::clone(counters));
            let work = Work {
                call: Arc::clone(&call),
                lease: lease.token(),
                share: lease.share(),
                model: number,
                kind,
                rows: 0..rows,
                bytes,
                since: Instant::now(),
                until,
                apart: None,
            };
            inside.scheduler.submit(work).map_err(|TooMuchWaits| InferenceError::Busy)?;
            call
        };
        self.shared.work.notify_one();
        let answer = call.wait(until, &self.shared.cut, || self.shared.look());
        if answer.is_err() {
            self.shared.lock().scheduler.give_up(lease.token(), |other| Arc::ptr_eq(other, &call));
        }
        answer
    }

    /// The device.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// What a loaded model takes and gives.
    #[must_use]
    pub fn facts(&self, model: &str) -> Option<Arc<ModelFacts>> {
        Some(Arc::clone(&self.shared.model(model)?.facts))
    }

    /// Whether rows of a loaded model's calls are put together and taken apart, and why.
    #[must_use]
    pub fn rows(&self, model: &str) -> Option<RowIndependence> {
        Some(self.shared.model(model)?.rows.clone())
    }

    /// Whether calls of a loaded model run together, and why.
    #[must_use]
    pub fn batching(&self, model: &str) -> Option<Batching> {
        Some(self.shared.model(model)?.batching.clone())
    }

    /// Counts a lease on this device among its numbers, until it ends.
    pub fn watch(&self, lease: &Arc<Lease>) {
        self.shared.leases.lock().unwrap_or_else(PoisonError::into_inner).watch(lease);
    }

    /// From now on nobody waits for an answer: every call, whether it runs or not, ends with [`InferenceError::DeviceLost`] in a moment, and so does
    /// each that comes. For the cut of a pipeline's run. Does not wait, and ends nothing that runs: closing does.
    pub fn cut(&self) {
        self.shared.cut.store(true, Ordering::Release);
    }

    /// Ends it: what waits is told that the device is lost, what runs is ended by the runner where it can be. Waits for the threads, at most until
    /// `until`; whether they have all ended. One that has not runs what nobody can interrupt, and ends after that. Again: only waits.
    pub fn close(&self, until: Instant) -> bool {
        self.shared.close(until)
    }
}

/// Whether a call may run that runs as it is: its inputs are no longer than a run may be.
fn whole(model: &Model, inputs: &[Tensor]) -> Result<(), InferenceError> {
    let (input, size) = model.facts.longest_of(inputs).unwrap_or_default();
    let limit = u64::from(model.spec.max_rows);
    if size as u64 <= limit {
        return Ok(());
    }
    let why = match model.rows.is_certain() {
        true => "inputs of different lengths are not cut",
        false => "rows that are not shown or declared to be independent are not cut",
    };
    let what = format!("rows of input \"{input}\" in one run ({why}; max_rows bounds it) are");
    Err(InferenceError::TooLarge { what, size: size as u64, limit })
}

/// Closes it without waiting for what runs.
impl Drop for DeviceQueue {
    fn drop(&mut self) {
        self.shared.close(Instant::now());
    }
}

impl DeviceReading for DeviceQueue {
    fn read(&self) -> DeviceNumbers {
        let (waiting, models) = {
            let inside = self.shared.lock();
            let models = inside.models.iter().map(|model| (model.spec.name.clone(), Arc::clone(&model.counters)));
            (inside.scheduler.waiting() as u64, models.collect())
        };
        let (leases, ended) = self.shared.leases.lock().unwrap_or_else(PoisonError::into_inner).count();
        let memory_used = self.shared.runner.memory_used();
        let turn_wait_nanoseconds = self.shared.turns.as_ref().map(Turns::waited);
        DeviceNumbers { memory_used, waiting, turn_wait_nanoseconds, leases, ended, models }
    }
}
