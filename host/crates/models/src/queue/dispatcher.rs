use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::call::Call;
use super::failed_run::part;
use super::shared::{Job, Load, Model, Shared};
use super::turns::{Asking, Turn};
use super::work::{Batch, Ended, Work};
use super::{batching, rows};
use crate::{InferenceError, ModelFacts, RowIndependence, RunAnswer, Tensor};
use sage_machine::thread_cpu_time;
use sage_observe::ModelCounters;
use sage_plan::ModelSpec;

/// A thread of a device, which takes the next job, runs it, and delivers the rows to each caller.
pub(super) struct Dispatcher<'a> {
    shared: &'a Shared,
}

/// Timeout for a device's recovery. A process that is killed and restarted with its models is usually ready
/// within seconds. A lease is charged for at most this time.
const RECOVERY: Duration = Duration::from_secs(60);

impl<'a> Dispatcher<'a> {
    pub(super) fn new(shared: &'a Shared) -> Self {
        Self { shared }
    }

    /// Runs jobs until the device is closed.
    pub(super) fn run(&self) {
        let mut asking = None;
        while let Some(job) = self.shared.next(asking.take()) {
            match job {
                Job::Load(load) => {
                    let loaded = self.load(&load);
                    // The requester of the load may have left.
                    let _ = load.done.send(loaded);
                }
                Job::Run(batch, model, turn) => asking = self.batch(batch, &model, turn),
            }
        }
    }

    fn load(&self, load: &Load) -> Result<Arc<ModelFacts>, InferenceError> {
        let Load { spec, file, until, .. } = load;
        if let Some(known) = self.shared.known(spec) {
            let facts = known?;
            if load.shows {
                self.show(spec, file, &facts, *until)?;
            }
            return Ok(facts);
        }
        let loaded = ModelSpec { name: file.clone(), ..spec.clone() };
        let facts = caught(|| self.shared.runner.load(&loaded, *until))?;
        let run = |inputs| self.run_beside_calls(file, inputs, *until);
        let (rows, trial) = RowIndependence::of(spec, &facts, |inputs| run(inputs).map(|ran| (ran.outputs, ran.wall)))?;
        let chosen = batching::choose(spec, &facts, (&rows, trial), |inputs| Ok(run(inputs)?.wall));
        tracing::debug!(device = self.shared.name, model = spec.name, %rows, batching = %chosen.batching, "loaded");
        let model = Model {
            spec: spec.clone(),
            rows,
            runs_as: file.clone(),
            facts: Arc::new(facts),
            batching: chosen.batching,
            counters: Arc::default(),
        };
        self.shared.add(model, chosen.row_time)
    }

    /// Tests by runs whether rows of a loaded model are independent, if there is evidence only from its
    /// graph.
    fn show(&self, spec: &ModelSpec, file: &str, facts: &ModelFacts, until: Instant) -> Result<(), InferenceError> {
        if self.shared.model(&spec.name).is_none_or(|model| model.rows != RowIndependence::ByGraph) {
            return Ok(());
        }
        let mut stopped = None;
        let (rows, _trial) = RowIndependence::by_runs(spec, facts, |inputs| {
            let ran = self.run_beside_calls(file, inputs, until).map(|ran| (ran.outputs, ran.wall));
            ran.inspect_err(|error| {
                if matches!(error, InferenceError::Deadline | InferenceError::DeviceLost(_)) {
                    stopped = Some(error.clone());
                }
            })
        });
        // A temporary failure of the device proves nothing about the rows.
        if let Some(error) = stopped.filter(|_| !rows.is_certain()) {
            return Err(error);
        }
        tracing::info!(device = self.shared.name, model = spec.name, %rows, "a call may be cut");
        self.shared.shown(&spec.name, rows);
        Ok(())
    }

    /// Runs the model outside of any call, in a turn of its own.
    fn run_beside_calls(&self, file: &str, inputs: Vec<Tensor>, until: Instant) -> Result<RunAnswer, InferenceError> {
        let turn = self.shared.turn(until)?;
        let ran = self.run_in(turn.as_ref(), file, inputs, until);
        let _nothing_more = turn.and_then(|turn| turn.over(Instant::now(), false));
        ran
    }

    /// Runs a batch. Asks for the next turn if more calls are waiting.
    fn batch(&self, batch: Batch<Arc<Call>>, model: &Model, turn: Option<Turn<'a>>) -> Option<Asking<'a>> {
        let Batch { number, model: model_number, works } = batch;
        let (mut starting, mut first) = (Vec::new(), Vec::new());
        for work in works {
            match work.call.start() {
                Ok(is_first) => {
                    starting.push(work);
                    first.push(is_first);
                }
                // A call that has ended, or that has lost its lease, does not run.
                Err(()) => self.shared.schedule(|scheduler| scheduler.leave_out(number, &work)),
            }
        }
        let batch = Batch { number, model: model_number, works: starting };
        let began = Instant::now();
        if batch.works.is_empty() {
            self.shared.schedule(|scheduler| scheduler.over(&batch, Ended::Answered, Duration::ZERO, began));
            return None;
        }
        let counters = &model.counters;
        // A call waits until its first rows run. Later turns of its other rows do not count as waiting for
        // the device.
        for (work, _) in batch.works.iter().zip(first).filter(|(_, is_first)| *is_first) {
            let waited = nanoseconds(began.saturating_duration_since(work.since));
            counters.wait_nanoseconds.add(waited);
            counters.wait.record(waited, 1);
            work.call.counters.wait_nanoseconds.add(waited);
        }
        let until = timeout(&batch.works, began);
        let (losses, cpu_before) = (self.shared.runner.losses(), thread_cpu_time());
        // If another run can destroy a result, the call is repeated, so its inputs are kept.
        let keeps = losses.is_some() && self.shared.runner.slots() > 1;
        let ran = inputs(&batch.works, model, keeps).and_then(|inputs| {
            counters.bytes_in.add(bytes(&inputs));
            self.run_in(turn.as_ref(), &model.runs_as, inputs, until)
        });
        let ran = ran.and_then(|mut answer| {
            let made = std::mem::take(&mut answer.outputs);
            counters.bytes_out.add(bytes(&made));
            Ok((answer, outputs(&batch.works, made)?))
        });
        let over = Instant::now();
        let took = over.saturating_duration_since(began);
        let ended = match &ran {
            Ok(_) => Ended::Answered,
            Err(InferenceError::Deadline) => Ended::Late,
            Err(InferenceError::DeviceLost(_)) if batch.works.len() == 1 && !keeps => Ended::Late,
            Err(InferenceError::DeviceLost(_)) => Ended::Lost,
            Err(_) if self.shared.runner.losses() != losses => Ended::Lost,
            Err(_) => Ended::Failed,
        };
        let (failed, is_more) = self.shared.schedule(|scheduler| {
            let failed = scheduler.over(&batch, ended, took, over);
            (failed, scheduler.waiting() > 0)
        });
        let answer = match ran {
            Ok((answer, outputs)) => {
                // End the turn before the results are delivered, so another run can use the device in the
                // meantime.
                let asking = turn.and_then(|turn| turn.over(over, is_more));
                count(counters, &batch, &answer);
                for (work, outputs) in batch.works.iter().zip(outputs) {
                    work.call.answer_rows(&work.rows, outputs);
                }
                self.collect();
                return asking;
            }
            Err(error) => error,
        };
        failed.iter().for_each(|call| call.fail(answer.clone()));
        count_failed(counters, &batch, &answer, took, thread_cpu_time().saturating_sub(cpu_before));
        let mut ready = over;
        if matches!(ended, Ended::Late | Ended::Lost) {
            tracing::warn!(device = self.shared.name, error = %answer, "a device gave no answer");
            self.shared.runner.recover(over + RECOVERY);
            ready = Instant::now();
            let took = ready.saturating_duration_since(over);
            counters.run_nanoseconds.add(nanoseconds(took));
            self.shared.schedule(|scheduler| scheduler.recovered(number, took));
        }
        self.collect();
        let is_more = self.shared.schedule(|scheduler| scheduler.waiting() > 0);
        turn.and_then(|turn| turn.over(ready, is_more))
    }

    /// Adds the time that calls owe for runs without a result to the counters of their instances.
    fn collect(&self) {
        for (call, took) in self.shared.schedule(|scheduler| scheduler.take_owed()) {
            call.counters.device_nanoseconds.add(nanoseconds(took));
        }
    }

    /// Runs the model once, within a turn.
    fn run_in(
        &self,
        turn: Option<&Turn<'_>>,
        model: &str,
        inputs: Vec<Tensor>,
        until: Instant,
    ) -> Result<RunAnswer, InferenceError> {
        if let Some(turn) = turn {
            turn.lasts_until(until);
        }
        caught(|| self.shared.runner.run(model, inputs, until))
    }
}

/// The inputs of one run. A single whole call gives away its own inputs, unless it keeps them for a
/// repetition.
fn inputs(works: &[Work<Arc<Call>>], model: &Model, keeps: bool) -> Result<Vec<Tensor>, InferenceError> {
    if let [work] = works
        && work.rows == (0..work.call.rows())
    {
        let mut own = work.call.inputs();
        return Ok(if keeps { own.clone() } else { std::mem::take(&mut *own) });
    }
    // The scheduler already ensures this. The check here guarantees that no result mixes rows of different
    // calls, whatever the scheduler does.
    if !model.rows.is_certain() {
        return Err(InferenceError::Backend(
            "calls of rows that may depend on each other were put together".to_owned(),
        ));
    }
    // The locks are taken in the order of the batch. A deadlock is impossible: parts of one call never share
    // a batch, and no other code holds two of these locks.
    let locks: Vec<_> = works.iter().map(|work| work.call.inputs()).collect();
    let parts: Vec<_> = locks.iter().zip(works).map(|(inputs, work)| (inputs.as_slice(), work.rows.clone())).collect();
    rows::join(&parts).ok_or_else(|| InferenceError::Backend("calls of different shapes were put together".to_owned()))
}

/// The outputs of each call. A single whole call gets all outputs, of any shape.
fn outputs(works: &[Work<Arc<Call>>], outputs: Vec<Tensor>) -> Result<Vec<Vec<Tensor>>, InferenceError> {
    if let [work] = works
        && work.rows == (0..work.call.rows())
    {
        return Ok(vec![outputs]);
    }
    let counts: Vec<_> = works.iter().map(|work| work.rows.len()).collect();
    rows::split(outputs, &counts)
}

/// The deadline of a run. A single call may run until its own deadline. A batch may take half of the time
/// until the earliest deadline, so that after a hang the calls still have time to run in isolation.
fn timeout(works: &[Work<Arc<Call>>], now: Instant) -> Instant {
    let shortest = works.iter().map(|work| work.until).min().unwrap_or(now);
    match works.len() {
        0 | 1 => shortest,
        _ => now + shortest.saturating_duration_since(now) / 2,
    }
}

fn count(counters: &ModelCounters, batch: &Batch<Arc<Call>>, answer: &RunAnswer) {
    let (wall, cpu) = (nanoseconds(answer.wall), nanoseconds(answer.cpu));
    count_run(counters, batch, wall, cpu);
    for work in &batch.works {
        work.call.counters.device_nanoseconds.add(part(wall, work.rows.len(), batch.rows()));
    }
}

/// Counts a run without a result. The lease that caused the lost device time is not known yet.
fn count_failed(
    counters: &ModelCounters,
    batch: &Batch<Arc<Call>>,
    error: &InferenceError,
    took: Duration,
    cpu: Duration,
) {
    counters.errors.count(error.code());
    count_run(counters, batch, nanoseconds(took), nanoseconds(cpu));
}

fn count_run(counters: &ModelCounters, batch: &Batch<Arc<Call>>, wall: u64, cpu: u64) {
    counters.calls.add(batch.works.len() as u64);
    counters.rows.add(batch.rows() as u64);
    counters.runs.add(1);
    counters.run_nanoseconds.add(wall);
    counters.cpu_nanoseconds.add(cpu);
    counters.run.record(wall, 1);
    for work in &batch.works {
        work.call.counters.cpu_nanoseconds.add(part(cpu, work.rows.len(), batch.rows()));
    }
}

/// The result of a runner. A panic becomes an error.
fn caught<R>(act: impl FnOnce() -> Result<R, InferenceError>) -> Result<R, InferenceError> {
    catch_unwind(AssertUnwindSafe(act)).unwrap_or_else(|panic| Err(InferenceError::Backend(panic_message(&*panic))))
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let said = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("it panicked: {}", said.unwrap_or("without a message"))
}

fn bytes(tensors: &[Tensor]) -> u64 {
    tensors.iter().map(|tensor| tensor.bytes().len() as u64).sum()
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
