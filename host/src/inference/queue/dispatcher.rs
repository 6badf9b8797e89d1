use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::call::Call;
use super::scheduler::{Batch, Work};
use super::shared::{Job, Load, Model, Shared};
use super::turns::{Asking, Turn};
use super::{batching, rows};
use crate::inference::{InferenceError, ModelFacts, RowIndependence, RunAnswer, Tensor};
use crate::observe::ModelCounters;

/// One thread of a device: it takes what is next, runs it, and hands each caller its rows.
pub(super) struct Dispatcher<'a> {
    shared: &'a Shared,
}

impl<'a> Dispatcher<'a> {
    pub(super) fn new(shared: &'a Shared) -> Self {
        Self { shared }
    }

    /// Until the device is closed.
    pub(super) fn run(&self) {
        let mut asking = None;
        while let Some(job) = self.shared.next(asking.take()) {
            match job {
                Job::Load(load) => {
                    let loaded = self.load(&load);
                    // Nobody may be waiting for it any more.
                    let _ = load.done.send(loaded);
                }
                Job::Run(batch, model, turn) => asking = self.batch(batch, &model, turn),
            }
        }
    }

    fn load(&self, load: &Load) -> Result<Arc<ModelFacts>, InferenceError> {
        let Load { spec, until, .. } = load;
        if let Some(known) = self.shared.known(spec) {
            return known;
        }
        let facts = caught(|| self.shared.runner.load(spec, *until))?;
        let run = |inputs| {
            let turn = self.shared.turn(*until)?;
            let ran = self.run_in(turn.as_ref(), &spec.name, inputs, *until);
            let _nothing_more = turn.and_then(|turn| turn.over(Instant::now(), false));
            ran
        };
        let rows = RowIndependence::of(spec, &facts, |inputs| Ok(run(inputs)?.outputs))?;
        let chosen = batching::choose(spec, &facts, &rows, |inputs| Ok(run(inputs)?.wall));
        tracing::debug!(device = self.shared.name, model = spec.name, %rows, batching = %chosen.batching, "loaded");
        let model = Model {
            spec: spec.clone(),
            rows,
            facts: Arc::new(facts),
            batching: chosen.batching,
            counters: Arc::default(),
        };
        self.shared.add(model, chosen.row_time)
    }

    /// Runs what was chosen. Asks for the next turn where there is more to run.
    fn batch(&self, batch: Batch<Arc<Call>>, model: &Model, turn: Option<Turn<'a>>) -> Option<Asking<'a>> {
        let number = batch.model;
        // Those that ended since, and those whose leases do not stand any more, do not run.
        let started = |work: Work<Arc<Call>>| work.call.start().ok().map(|is_first| (work, is_first));
        let (works, first): (Vec<_>, Vec<_>) = batch.works.into_iter().filter_map(started).unzip();
        if works.is_empty() {
            self.shared.schedule(|scheduler| scheduler.over(number, 0, None, Instant::now()));
            return None;
        }
        let batch = Batch { model: number, works };
        let began = Instant::now();
        let counters = &model.counters;
        // A call waits until its first rows run: that its others take turns with it is no wait for the device.
        for (work, _) in batch.works.iter().zip(first).filter(|(_, is_first)| *is_first) {
            let waited = nanoseconds(began.saturating_duration_since(work.since));
            counters.wait_nanoseconds.add(waited);
            counters.wait.record(waited, 1);
            work.call.counters.wait_nanoseconds.add(waited);
        }
        // The longest: a call with less patience leaves before, and does not end the others' run.
        let until = batch.works.iter().map(|work| work.until).max().unwrap_or(began);
        let ran = inputs(&batch.works, model).and_then(|inputs| {
            counters.bytes_in.add(bytes(&inputs));
            self.run_in(turn.as_ref(), &model.spec.name, inputs, until)
        });
        let over = Instant::now();
        let took = ran.as_ref().ok().map(|answer| answer.wall);
        let is_more = self.shared.schedule(|scheduler| {
            scheduler.over(number, batch.rows(), took, over);
            scheduler.waiting() > 0
        });
        let asking = turn.and_then(|turn| turn.over(over, is_more));
        count(counters, &batch, &ran);
        match ran.and_then(|answer| outputs(&batch.works, answer.outputs)) {
            Ok(outputs) => {
                for (work, outputs) in batch.works.iter().zip(outputs) {
                    work.call.answer_rows(&work.rows, outputs);
                }
            }
            Err(error) => self.failed(batch, error),
        }
        asking
    }

    /// What failed together is tried alone, except where that cannot help.
    fn failed(&self, batch: Batch<Arc<Call>>, error: InferenceError) {
        let alone_may_do = !matches!(error, InferenceError::Deadline | InferenceError::DeviceLost(_));
        if batch.works.len() > 1 && alone_may_do {
            self.shared.schedule(|scheduler| {
                for work in batch.works {
                    scheduler.again_alone(work);
                }
            });
            return;
        }
        for work in batch.works {
            if work.alone && alone_may_do {
                self.shared.schedule(|scheduler| scheduler.keep_alone(work.model, work.lease));
            }
            work.call.fail(error.clone());
        }
        if !alone_may_do {
            tracing::warn!(device = self.shared.name, %error, "a device gave no answer");
        }
    }

    /// One run, in a turn.
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

/// The inputs of one run. A call that is alone and whole gives its own away; it does not run again.
fn inputs(works: &[Work<Arc<Call>>], model: &Model) -> Result<Vec<Tensor>, InferenceError> {
    if let [work] = works
        && work.rows == (0..work.call.rows())
    {
        return Ok(std::mem::take(&mut *work.call.inputs()));
    }
    // The scheduler keeps to its rules; that no answer is made of others' rows does not hang on it.
    if !model.rows.is_certain() {
        return Err(InferenceError::Backend(
            "calls of rows that may depend on each other were put together".to_owned(),
        ));
    }
    // Each call's lock, in the order of the batch: parts of one call never share a batch, and nobody else holds two.
    let locks: Vec<_> = works.iter().map(|work| work.call.inputs()).collect();
    let parts: Vec<_> = locks.iter().zip(works).map(|(inputs, work)| (inputs.as_slice(), work.rows.clone())).collect();
    rows::join(&parts).ok_or_else(|| InferenceError::Backend("calls of different shapes were put together".to_owned()))
}

/// Each call's outputs. A call that is alone and whole has all of them, whatever their shape.
fn outputs(works: &[Work<Arc<Call>>], outputs: Vec<Tensor>) -> Result<Vec<Vec<Tensor>>, InferenceError> {
    if let [work] = works
        && work.rows == (0..work.call.rows())
    {
        return Ok(vec![outputs]);
    }
    let counts: Vec<_> = works.iter().map(|work| work.rows.len()).collect();
    rows::split(outputs, &counts)
}

fn count(counters: &ModelCounters, batch: &Batch<Arc<Call>>, ran: &Result<RunAnswer, InferenceError>) {
    counters.calls.add(batch.works.len() as u64);
    counters.rows.add(batch.rows() as u64);
    counters.runs.add(1);
    let answer = match ran {
        Ok(answer) => answer,
        Err(error) => {
            counters.errors.count(error.code());
            return;
        }
    };
    let (wall, cpu) = (nanoseconds(answer.wall), nanoseconds(answer.cpu));
    counters.bytes_out.add(bytes(&answer.outputs));
    counters.run_nanoseconds.add(wall);
    counters.cpu_nanoseconds.add(cpu);
    counters.run.record(wall, 1);
    let all = batch.rows().max(1) as u64;
    for work in &batch.works {
        let share = |time: u64| time / all * work.rows.len() as u64 + time % all * work.rows.len() as u64 / all;
        work.call.counters.device_nanoseconds.add(share(wall));
        work.call.counters.cpu_nanoseconds.add(share(cpu));
    }
}

/// What a runner says, or that it panicked.
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
