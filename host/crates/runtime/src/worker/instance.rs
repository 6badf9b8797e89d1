use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::Child;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use rustix::process::{Signal, pidfd_send_signal};

use super::death::Death;
use super::kernel_view::KernelView;
use super::models_served::ModelsServed;
use super::worker_setup::WorkerSetup;
use crate::engine::with_causes;
use sage_machine::cgroup::OomWatch;
use sage_machine::{CpuSet, LeasedSeat, LeasedThreads, ProcessSeat, SharedCpus, limit_below};
use sage_models::ModelAccess;
use sage_process::Link;
use sage_process::{Enter, Launch, Spawner, Started, end};
use sage_sandbox::{Failure, FailureCode, MOST_THREADS_OF_A_LANE};

/// An instance: its current worker process, and the means to start the next one when that process dies.
///
/// The lanes of an instance share the process, and each lane has its own link to it. When the process dies,
/// each lane notices that by itself, and the first lane that needs a process again starts the next one.
/// Processes are numbered, so that a lane can tell its lost process from a process that another lane has
/// started meanwhile.
#[derive(Debug)]
pub(super) struct Instance {
    pub(super) template: WorkerSetup,
    pub(super) program: PathBuf,
    pub(super) component: Arc<OwnedFd>,
    pub(super) spawner: Arc<Spawner>,
    pub(super) place: Place,
    pub(super) kernel: Arc<KernelView>,
    /// Answers the model calls of its guests, if its operator has models.
    pub(super) models: Option<Arc<dyn ModelAccess>>,
    pub(super) state: Mutex<State>,
}

/// The CPUs of the process.
#[derive(Debug)]
pub(super) enum Place {
    /// CPUs of its own, with the record of threads on leased CPUs.
    Leased(CpuSet, LeasedThreads),
    /// The CPUs that are not leased.
    Shared(SharedCpus),
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// The number of processes so far.
    number: u64,
    worker: Option<Worker>,
    links: Vec<Option<Link>>,
    /// The number and the death of the last process that is gone.
    death: Option<(u64, Death)>,
    /// The threads that reap killed processes, which wait in the kernel and do not end.
    left_behind: Vec<JoinHandle<()>>,
}

/// Most processes of an instance that were killed and do not end. They are in the instance's cgroup, so their memory
/// counts.
const MOST_LEFT_BEHIND: usize = MOST_THREADS_OF_A_LANE as usize;

#[derive(Debug)]
struct Worker {
    child: Child,
    last_words: OwnedFd,
    oom: Option<OomWatch>,
    seat: Option<WorkerSeat>,
}

/// The placement of the process, which ends when the seat is dropped.
#[derive(Debug)]
enum WorkerSeat {
    Leased(#[expect(dead_code, reason = "only its drop matters")] LeasedSeat),
    Shared(#[expect(dead_code, reason = "only its drop matters")] ProcessSeat),
}

impl Instance {
    /// The link of a lane to a process other than number `lost`. Starts a process if there is none.
    pub(super) fn attach(&self, lane: usize, lost: u64) -> Result<(Link, u64), Failure> {
        let mut state = self.lock();
        let there = state.number > lost && state.worker.is_some();
        if !there || state.links.get(lane).is_none_or(Option::is_none) {
            self.bury(&mut state, || Death::Ended("one of its lanes failed".to_owned()));
            self.launch(&mut state).map_err(|error| {
                let message = format!("cannot start the worker process: {}", with_causes(&error));
                match limit_below(&error) {
                    // The host itself has reached a limit, so another attempt would fail in the same way.
                    Some(limit) => Failure::new(FailureCode::Fault, format!("{message}: {}", limit.what)),
                    None => Failure { worker_died: true, ..Failure::new(FailureCode::Worker, message) },
                }
            })?;
        }
        let link = state.links.get_mut(lane).and_then(Option::take);
        let number = state.number;
        let missing = || Failure::new(FailureCode::Fault, "the instance has no such lane");
        Ok((link.ok_or_else(missing)?, number))
    }

    /// The death of process `number`. A running process is ended for `reason` first. The second value is `true`
    /// if this is the first query for that process.
    pub(super) fn explain(&self, number: u64, reason: impl FnOnce() -> String) -> (Death, bool) {
        let mut state = self.lock();
        let first = state.number == number && state.worker.is_some();
        if first {
            self.bury(&mut state, || Death::Ended(reason()));
        }
        match &state.death {
            Some((of, death)) if *of == number => (death.clone(), first),
            _ => (Death::Ended("another lane of the instance replaced it".to_owned()), false),
        }
    }

    /// Kills the current process at once. Lanes that wait for it notice.
    pub(super) fn kill(&self) {
        if let Some(worker) = &mut self.lock().worker {
            // A failed kill means that the process has ended already.
            let _ = worker.child.kill();
        }
    }

    /// Locks the state, which includes the current process.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn launch(&self, state: &mut State) -> io::Result<()> {
        state.left_behind.retain(|reaper| !reaper.is_finished());
        if state.left_behind.len() >= MOST_LEFT_BEHIND {
            let stuck = format!(
                "{MOST_LEFT_BEHIND} processes of the instance were killed and wait for files in its folders that do \
                 not answer"
            );
            return Err(io::Error::other(stuck));
        }
        let mut links = Vec::new();
        let mut ends = Vec::new();
        for _ in &self.template.lanes {
            let (link, end) = Link::pair()?;
            links.push(link);
            ends.push(end);
        }
        let pairs = self.models.iter().flat_map(|_| &self.template.lanes).map(|_| Link::pair());
        let (model_links, model_ends): (Vec<_>, Vec<_>) = pairs.collect::<io::Result<Vec<_>>>()?.into_iter().unzip();
        let order = self.template.with(&self.component, &ends, &model_ends);
        let cpus = match &self.place {
            Place::Leased(cpus, _) => cpus.clone(),
            Place::Shared(shared) => shared.refresh().map_err(io::Error::other)?,
        };
        let oom = self.kernel.watch_oom();
        let Started { child, process, last_words } = self.spawner.launch(Launch {
            program: self.program.clone(),
            subcommand: "worker",
            environment: Vec::new(),
            inherited: order.descriptors().collect(),
            order: serde_json::to_vec(&order)?,
            cpus: Some(cpus),
            enter: self.kernel.entry()?.map(|entry| Enter(Box::new(move || entry.enter()))),
        })?;
        let process = Arc::new(process);
        for link in &mut links {
            link.watch(Arc::clone(&process));
        }
        if let Err(error) = self.serve_models(model_links, &process) {
            end(child);
            return Err(error);
        }
        let seat = match &self.place {
            Place::Leased(cpus, threads) => {
                let (operator, instance) = (&self.template.operator, self.template.instance);
                Some(WorkerSeat::Leased(threads.process(child.id(), operator, instance, cpus)))
            }
            Place::Shared(shared) => shared.adopt(child.id()).ok().map(WorkerSeat::Shared),
        };
        state.number += 1;
        state.worker = Some(Worker { child, last_words, oom, seat });
        state.links = links.into_iter().map(Some).collect();
        Ok(())
    }

    /// Serves the model calls of each lane until the process ends.
    fn serve_models(&self, links: Vec<Link>, process: &Arc<OwnedFd>) -> io::Result<()> {
        let Some(access) = &self.models else { return Ok(()) };
        for mut link in links {
            link.watch(Arc::clone(process));
            let limits = &self.template.limits;
            let (timeout, bytes) = (limits.call_timeout, limits.output_bytes_per_call);
            let served = ModelsServed { link, access: Arc::clone(access), timeout, bytes };
            let (process, operator) = (Arc::clone(process), self.template.operator.clone());
            served.start(move |error| {
                tracing::warn!(operator, %error, "a worker broke the rules of the link to its models and is ended");
                // A failed signal means that the process has ended already. Its lanes notice.
                let _ = pidfd_send_signal(&process, Signal::KILL);
            })?;
        }
        Ok(())
    }

    /// Records the death of the process, and ends the process first if it still runs.
    fn bury(&self, state: &mut State, otherwise: impl FnOnce() -> Death) {
        let Some(mut worker) = state.worker.take() else { return };
        state.links.clear();
        // The seat goes before the process is reaped, because afterwards its number may belong to another
        // process.
        drop(worker.seat.take());
        let death = match ended(&mut worker.child) {
            None => {
                state.left_behind.extend(end(worker.child));
                otherwise()
            }
            Some(status) => match worker.oom.as_ref().and_then(|watch| self.kernel.out_of_memory(watch)) {
                Some((told, limit)) => Death::OutOfMemory(told, limit),
                None => Death::of(status, &worker.last_words),
            },
        };
        state.death = Some((state.number, death));
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let mut state = self.lock();
        if let Some(mut worker) = state.worker.take() {
            drop(worker.seat.take());
            end(worker.child);
        }
        drop(state);
        self.kernel.close();
    }
}

/// The exit status of a process that has ended.
fn ended(child: &mut Child) -> Option<std::process::ExitStatus> {
    child.try_wait().ok().flatten()
}
