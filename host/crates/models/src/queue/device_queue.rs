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

/// The queue of one device. Calls of all leases on the device wait here. The queue's threads run them; there
/// are as many threads as its [`Runner`] has slots.
///
/// **Waiting.** Callers wait only for their own result (see `Call`). The lock is held to submit a call or to
/// pick the next batch, never during a run. The threads wait on `work`. A new call, a model to load, and
/// closing each wake a thread, and a thread wakes another one if it leaves work. A batch that waits for more
/// calls wakes by the clock. A running thread waits for the runner, and nothing here can shorten that wait.
/// Its callers leave at their deadlines, or when the run of their pipeline is [cut](DeviceQueue::cut); the
/// slot stays in use until the run has really ended. If other runs hold shares of the device, a thread with
/// work first waits for this run's turn ([`Turns`]). A dead, stopped or hanging run cannot block that turn.
///
/// **Rows.** Calls are batched and split only if [`RowIndependence`] says that rows do not depend on each
/// other, and if all inputs of a call have the same number of rows. Otherwise a call runs whole and alone,
/// and a call with more than `max_rows` rows gives [`InferenceError::TooLarge`].
///
/// **Bounds.** [`DeviceQueue::MOST_ROWS`] bounds the rows of a call. The waiting calls of one lease are
/// bounded in number and bytes; a further call gives [`InferenceError::Busy`]. The slots and `max_rows` bound
/// the running calls. A caller that gave up leaves nothing behind except a running call.
///
/// **Not bounded:** the runs of other users in flight on the same device, and the cost of loading a model
/// there. Neither takes turns.
///
/// **Errors.** If a run of several calls fails (by an error, a panic, a deadline or the end of the device's
/// process), each call runs once more in isolation before its caller gets the error. So the rows of one
/// tenant fail alone. A lease that fails again in isolation always runs alone from then on. If a device's
/// process ends, the runs of other slots end with it; these runs are repeated with nothing beside them. A
/// runner that panics has failed, but its thread continues.
///
/// **Charges.** A lease is charged for the device time of all its runs, with any outcome: see `Scheduler`. A
/// batch may take half of the time until the earliest deadline in it. A single call may take until its own
/// deadline.
#[derive(Debug)]
pub struct DeviceQueue {
    shared: Arc<Shared>,
}

/// Timeout for the runs that show whether a model's rows are independent. They take some seconds on a device
/// that is busy with other runs.
const SHOWING: Duration = Duration::from_secs(60);

/// Stack size for code that recurses through an untrusted graph. The process that examined the graph had the
/// same size.
const STACK: usize = 8 << 20;

impl DeviceQueue {
    /// Largest number of rows of one call. Rows may be small, and each run of `max_rows` rows gives a part of
    /// the result that is kept until all parts are there. If `max_rows` is 1, this number of parts uses about
    /// 50 MiB beside the data, about as much as a lease's inputs may use.
    pub const MOST_ROWS: usize = 1 << 18;

    /// Starts the threads of a device. `turns` are this run's turns with other runs, or `None` if no other
    /// run can hold a share.
    ///
    /// # Errors
    /// [`InferenceError::DeviceLost`]: a thread cannot be started, or cannot be bound to the device's CPUs.
    /// Then no thread is left.
    pub fn start(
        name: &str,
        runner: Arc<dyn Runner>,
        cpus: &DeviceCpus,
        turns: Option<Turns>,
    ) -> Result<Self, InferenceError> {
        let slots = runner.slots().max(1);
        let shared = Arc::new(Shared::new(name, runner, turns));
        // If a later thread fails, dropping the queue ends the earlier threads.
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
            // Linux keeps 15 characters of the name.
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

    /// Loads a model on one of the device's threads, and measures whether its calls should be batched, unless
    /// this is declared. Waits for a free slot and for the end of the load until `until`; a load that has
    /// begun is then still finished and kept. Returns at once if the model is already loaded.
    ///
    /// # Errors
    /// The errors of [`Runner::load`]; [`InferenceError::Unsupported`] if another model has the name; the
    /// device is closed.
    pub fn load(&self, spec: &ModelSpec, until: Instant) -> Result<Arc<ModelFacts>, InferenceError> {
        self.load_file(spec, &spec.name, until)
    }

    /// Like [`DeviceQueue::load`], for a file that is loaded under a name of its own. The file is loaded once
    /// for all models that use it.
    ///
    /// # Errors
    /// The errors of [`DeviceQueue::load`].
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

    /// Tests by runs whether rows are independent, for a model with evidence only from its graph. Called
    /// before the first call is split. Waits at most until `until`; a test that has begun is then still
    /// finished, for the next call.
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

    /// Runs a call for a lease on this device and waits for the result, at most until `until`. The inputs
    /// must be in the order of the model's facts and already checked against them. `counters` belong to the
    /// calling instance.
    ///
    /// # Errors
    /// The lease is not held, or ended in the meantime; [`InferenceError::UnknownModel`] if the model is not
    /// loaded here; [`InferenceError::Busy`]; [`InferenceError::Deadline`]; [`InferenceError::BadInput`] for
    /// a call without rows; [`InferenceError::TooLarge`] for too many rows; the queue was cut; the errors of
    /// [`Runner::run`].
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
            // Inputs with different numbers of rows cannot be matched row by row, whatever the model is.
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

    /// The name of the device.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// The inputs and outputs of a loaded model.
    #[must_use]
    pub fn facts(&self, model: &str) -> Option<Arc<ModelFacts>> {
        Some(Arc::clone(&self.shared.model(model)?.facts))
    }

    /// Whether rows of a loaded model's calls may be batched and split, with the reason.
    #[must_use]
    pub fn rows(&self, model: &str) -> Option<RowIndependence> {
        Some(self.shared.model(model)?.rows.clone())
    }

    /// Whether calls of a loaded model run together, with the reason.
    #[must_use]
    pub fn batching(&self, model: &str) -> Option<Batching> {
        Some(self.shared.model(model)?.batching.clone())
    }

    /// Counts a lease on this device in the device's numbers until the lease ends.
    pub fn watch(&self, lease: &Arc<Lease>) {
        self.shared.leases.lock().unwrap_or_else(PoisonError::into_inner).watch(lease);
    }

    /// Cuts the queue, for the cut of a pipeline's run. Every present and later call ends with
    /// [`InferenceError::DeviceLost`] within a moment, whether it runs or not. Does not block, and does not
    /// end runs; [`DeviceQueue::close`] ends them.
    pub fn cut(&self) {
        self.shared.cut.store(true, Ordering::Release);
    }

    /// Closes the queue. Waiting calls get the error that the device is lost. The runner ends running calls
    /// if it can. Waits for the threads until `until` at most, and returns whether all have ended. A thread
    /// that has not ended is in a run that cannot be interrupted, and ends after the run. A second call only
    /// waits.
    pub fn close(&self, until: Instant) -> bool {
        self.shared.close(until)
    }
}

/// Checks that a call that cannot be split fits into one run.
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

/// Closes the queue without waiting for runs.
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
