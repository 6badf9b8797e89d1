use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::{Duration, Instant};

use super::super::tensor_wire::{get_outcome, put_json, put_tensors};
use super::message::{ForgetRequest, ask, get_answer, possible};
use super::model_file::ModelFile;
use super::shared::{Model, Shared};
use sage_batch::wire::{WireError, put_bytes, put_u64};
use sage_models::{InferenceError, ModelFacts, RunAnswer, Tensor};
use sage_process::Link;

/// A job of a slot's thread. Its caller waits for the reply until the deadline at most.
#[derive(Debug)]
pub(super) enum Job {
    Load { file: ModelFile, name: String, until: Instant, reply: SyncSender<Result<Arc<ModelFacts>, InferenceError>> },
    Run { run: Run, until: Instant, reply: SyncSender<Result<RunAnswer, InferenceError>> },
    Forget { what: ForgetRequest, until: Instant, reply: SyncSender<Result<(), InferenceError>> },
}

#[derive(Debug)]
pub(super) struct Run {
    pub(super) model: String,
    pub(super) facts: Arc<ModelFacts>,
    pub(super) inputs: Vec<Tensor>,
}

/// Time after its deadline in which a run may still end by itself. A restart with large models costs as much,
/// and there is no other way to stop a kernel on a device.
const GRACE: Duration = Duration::from_secs(1);

/// The thread of a slot: one job at a time, each until its end or the end of the process.
pub(super) fn serve(shared: &Shared, slot: usize, threads: usize, jobs: &Receiver<Job>) {
    for job in jobs {
        // A caller that waited until the deadline is gone, and a late reply is dropped.
        match job {
            Job::Run { run, until, reply } => drop(reply.send(perform(shared, slot, threads, &run, until))),
            Job::Forget { what, until, reply } => drop(reply.send(forget(shared, slot, &what, until))),
            Job::Load { file, name, until, reply } => drop(reply.send(load(shared, slot, file, name, until))),
        }
        shared.release(slot);
    }
}

fn perform(
    shared: &Shared,
    slot: usize,
    threads: usize,
    run: &Run,
    until: Instant,
) -> Result<RunAnswer, InferenceError> {
    let began = Instant::now();
    let mut answer = exchange(shared, slot, until, |link, _| {
        put_u64(link, ask::RUN)?;
        put_bytes(link, run.model.as_bytes())?;
        put_tensors(link, &run.inputs)?;
        link.send();
        let answer = get_answer(link, &run.facts)?;
        link.taken();
        Ok(answer)
    })?;
    shared.lock().ends = 0;
    // The claimed times are limited, so that their sums cannot overflow.
    let passed = began.elapsed();
    answer.wall = answer.wall.min(passed);
    answer.cpu = answer.cpu.min(passed.saturating_mul(u32::try_from(threads).unwrap_or(u32::MAX)));
    Ok(answer)
}

fn load(
    shared: &Shared,
    slot: usize,
    mut file: ModelFile,
    name: String,
    until: Instant,
) -> Result<Arc<ModelFacts>, InferenceError> {
    let loaded = exchange(shared, slot, until, |link, number| {
        shared.lock().excused = Some(number);
        let loaded = file.load(link)?;
        shared.lock().excused = None;
        Ok(loaded)
    });
    let facts = Arc::new(loaded?);
    let model = Model { facts: Arc::clone(&facts), file: Some(file) };
    shared.change(|state| state.models.insert(name, model));
    Ok(facts)
}

fn forget(shared: &Shared, slot: usize, what: &ForgetRequest, until: Instant) -> Result<(), InferenceError> {
    exchange(shared, slot, until, |link, _| {
        put_u64(link, ask::FORGET)?;
        put_json(link, what)?;
        link.send();
        let outcome = get_outcome(link)?;
        link.taken();
        outcome.map_or_else(|error| possible(error).map(Err), |()| Ok(Ok(())))
    })
}

/// Exchanges one request and its answer. Any error of the link ends the process.
fn exchange<T>(
    shared: &Shared,
    slot: usize,
    until: Instant,
    ask: impl FnOnce(&mut Link, u64) -> Result<Result<T, InferenceError>, WireError>,
) -> Result<T, InferenceError> {
    if Instant::now() >= until {
        return Err(InferenceError::Deadline);
    }
    let (mut link, number) = shared.attach(slot, until)?;
    link.begin();
    link.set_deadline(until.checked_add(GRACE));
    match ask(&mut link, number) {
        Ok(Err(InferenceError::DeviceLost(why))) => {
            // The driver has lost the device. A new process may find it again.
            shared.kill(number, why.clone());
            Err(InferenceError::DeviceLost(why))
        }
        Ok(answer) => {
            shared.give_back(slot, link, number);
            answer
        }
        Err(WireError::Overdue(_) | WireError::Slow(_)) => {
            let stuck = format!("a run was not over {} ms after its deadline", GRACE.as_millis());
            shared.end(number, stuck);
            Err(InferenceError::Deadline)
        }
        Err(error) => Err(shared.end(number, error.to_string())),
    }
}
