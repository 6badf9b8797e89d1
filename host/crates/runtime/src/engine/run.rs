use std::collections::BTreeMap;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use super::assemble::{Assembly, assemble};
use super::chain::{Chain, ChainEnd};
use super::control::Control;
use super::coordinator::{Coordinating, Coordinator, MESSAGES};
use super::counted_sink::CountedSink;
use super::epochs::{Epochs, Handed};
use super::error::{PipelineError, RunError, with_causes};
use super::guest_supervisor::GuestSupervisor;
use super::lane::{Lane, Task};
use super::operator_lane::OperatorLane;
use super::parts::Parts;
use super::source_lane::{SharedSource, SourceEnd};
use super::standing::{StandingWatch, Watched};
use super::watch::registry;
use crate::connector::{SinkOutcome, Source, SourceProgress};
use sage_observe::{EpochProgress, Outcome, Registry, SourceReading, Summary};
use sage_plan::{Plan, StageId};
use sage_sandbox::Failure;

/// A run in progress.
pub(super) struct Running {
    plan: Arc<Plan>,
    control: Arc<Control>,
    registry: Arc<Registry>,
    assembly: Assembly,
    threads: Vec<(StageId, JoinHandle<LaneEnd>)>,
    /// Ends before the parts that it checks.
    standing: Option<StandingWatch>,
    /// Makes the epochs of a run with checkpoints.
    coordinating: Option<Coordinating>,
    // Freed when the last lane has ended.
    _parts: Parts,
}

/// The epochs of a run, and the messages of its lanes to the coordinator.
fn epochs() -> (Receiver<Handed>, Arc<Epochs>) {
    let (out, handed) = mpsc::sync_channel(MESSAGES);
    (handed, Arc::new(Epochs::new(out)))
}

/// The result of a lane.
enum LaneEnd {
    Operator,
    Source(SourceEnd),
    Sink(CountedSink),
    Chain(ChainEnd),
}

/// A guest's stack (at most 512 KiB) and the host's own frames around it.
const STACK: usize = 4 << 20;

impl Running {
    /// Places the lanes and starts their guests. Data flows when all have started.
    ///
    /// # Errors
    /// An item that cannot be opened, and every operator that fails in start or in `open`. No data has flowed
    /// after an error.
    pub(super) fn start(mut parts: Parts, control: Arc<Control>, run: &str) -> Result<Self, RunError> {
        let (handed, epochs) = parts.saved.is_some().then(epochs).unzip();
        if let Some(epochs) = &epochs {
            control.set_epochs(Arc::clone(epochs));
        }
        let mut assembly = assemble(&mut parts, &control, run, epochs.as_ref())?;
        let lanes = std::mem::take(&mut assembly.lanes);
        let plan = Arc::new(parts.plan.clone());
        let tenant = parts.tenant.as_str();
        let progress = parts.saved.as_ref().map(|saved| Arc::new(EpochProgress::new(saved.epoch())));
        let registry =
            Arc::new(registry(&plan, &parts.grant, &assembly, &parts.models, (tenant, run), progress.clone()));
        let (reports, started) = mpsc::channel();
        let watched = Watched {
            plan: Arc::clone(&plan),
            grant: parts.grant.clone(),
            leases: Arc::clone(&parts.leases),
            leased: parts.leased.clone(),
            shared: parts.shared.clone(),
            slice: parts.slice.clone(),
            limits: Arc::clone(&registry.limits),
            strict: parts.strict,
            control: Arc::clone(&control),
        };
        let checkpoints = parts.saved.take().zip(epochs).zip(handed.zip(progress));
        let coordinator = checkpoints.map(|((saved, epochs), (handed, progress))| {
            let instances = assembly.stages.iter().flat_map(|stage| &stage.instances);
            Coordinator {
                needs_base: saved.needs_base(),
                epochs,
                control: Arc::clone(&control),
                store: saved.store,
                handed,
                interval: saved.settings.interval,
                folder: saved.settings.folder.clone(),
                manifest: saved.manifest,
                letters: assembly.dead_letters.clone(),
                committers: assembly.committers.clone(),
                counters: instances.map(|instance| Arc::clone(&instance.counters)).collect(),
                progress,
                begun: None,
                live: assembly.live,
                ended: BTreeMap::new(),
            }
        });
        let (threads, standing, coordinating) = (Vec::new(), None, None);
        let mut running = Self { plan, control, registry, assembly, threads, standing, coordinating, _parts: parts };
        for lane in lanes {
            running.spawn(lane, reports.clone())?;
        }
        drop(reports);
        let mut failures = Vec::new();
        for report in started {
            match report {
                Ok(()) => {}
                Err(NotStarted::Guest(failure)) => failures.push(failure),
                Err(NotStarted::Placed { lane, reason }) => {
                    running.stop_and_wait();
                    return Err(RunError::Lane { lane, reason });
                }
            }
        }
        // A sink may fail before the last guest has started, which stops that start. The run has failed then, of
        // the sink, and its summary says so.
        if !failures.is_empty() && running.control.cause().is_none() {
            running.stop_and_wait();
            failures.sort_by(|a, b| (&a.stage, a.instance).cmp(&(&b.stage, b.instance)));
            return Err(RunError::Start(failures));
        }
        match StandingWatch::start(watched) {
            Ok(standing) => running.standing = Some(standing),
            Err(error) => {
                running.stop_and_wait();
                return Err(error);
            }
        }
        if let Some(coordinator) = coordinator {
            match Coordinating::start(coordinator) {
                Ok(coordinating) => running.coordinating = Some(coordinating),
                Err(error) => {
                    running.stop_and_wait();
                    return Err(RunError::Lane { lane: "checkpoints".to_owned(), reason: error.to_string() });
                }
            }
        }
        running.control.go();
        Ok(running)
    }

    pub(super) fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// A function that reads the progress of each built-in source, for the progress display.
    pub(super) fn source_readings(&self) -> impl Fn() -> Vec<SourceReading> + Send + 'static {
        let sources: Vec<(String, SharedSource)> = self
            .assembly
            .sources
            .iter()
            .map(|(id, source)| (self.plan.stage(*id).name.clone(), Arc::clone(source)))
            .collect();
        move || {
            let reading = |(name, source): &(String, SharedSource)| {
                let SourceProgress { done, total, bytes, bounded } = lock(source).progress();
                SourceReading { name: name.clone(), done, total, bytes, bounded }
            };
            sources.iter().map(reading).collect()
        }
    }

    /// Waits for the last lane, completes the sinks, and returns the summary.
    pub(super) fn finish(mut self) -> Summary {
        let ends = self.join();
        drop(self.standing.take());
        let mut cut_short = false;
        let mut sinks = Vec::new();
        for (stage, end) in ends {
            match end {
                LaneEnd::Operator => {}
                LaneEnd::Source(end) => cut_short |= end == SourceEnd::StoppedEarly && self.is_bounded(stage),
                LaneEnd::Sink(sink) => sinks.push((stage, sink)),
                LaneEnd::Chain(end) => {
                    let cut = |(stage, end)| end == SourceEnd::StoppedEarly && self.is_bounded(stage);
                    cut_short |= end.source.is_some_and(cut);
                    sinks.extend(end.sink);
                }
            }
        }
        let mut outcome = self.outcome(cut_short);
        let mut coordinator = self.coordinating.take().and_then(Coordinating::close);
        outcome = self.save_end(outcome, coordinator.as_mut(), false);
        let whole = matches!(outcome, Outcome::Completed | Outcome::Drained);
        let sink_outcome = if whole { SinkOutcome::Complete } else { SinkOutcome::Partial };
        for (stage, mut sink) in sinks {
            let _unended = self.control.begin(format!("the completion of \"{}\"", self.plan.stage(stage).name));
            if let Err(error) = sink.finish(sink_outcome) {
                outcome = self.not_finished(outcome, stage, &error.in_full());
            }
        }
        for (_, file) in &self.assembly.dead_letters {
            if let Err(error) = file.finish() {
                outcome = self.not_finished(outcome, StageId(0), &error.in_full());
            }
        }
        outcome = self.save_end(outcome, coordinator.as_mut(), true);
        for instance in self.assembly.stages.iter().flat_map(|stage| &stage.instances) {
            instance.counters.settle();
        }
        Summary::of(&self.registry, outcome)
    }

    /// Writes an epoch of a run that has come to its end: before its outputs get their names, and behind that as the
    /// last one. A run that stopped earlier leaves its last epoch, from which the next one goes on.
    fn save_end(&self, outcome: Outcome, coordinator: Option<&mut Coordinator>, ended: bool) -> Outcome {
        let Some(coordinator) = coordinator.filter(|_| matches!(outcome, Outcome::Completed)) else { return outcome };
        match coordinator.last(ended) {
            Ok(()) => outcome,
            Err(failure) => Outcome::Failed(failure.into_run_failure()),
        }
    }

    fn outcome(&self, cut_short: bool) -> Outcome {
        if let Some(cause) = self.control.cause() {
            return Outcome::Failed(cause.into_run_failure());
        }
        if self.control.was_aborted() || self.control.was_suspended() || cut_short {
            return Outcome::Interrupted;
        }
        if self.control.is_draining() { Outcome::Drained } else { Outcome::Completed }
    }

    fn not_finished(&self, outcome: Outcome, stage: StageId, reason: &str) -> Outcome {
        if matches!(outcome, Outcome::Failed(_)) {
            tracing::error!(reason, "an output could not be completed either");
            return outcome;
        }
        let failure = PipelineError::connector(&self.plan.stage(stage).name, reason);
        Outcome::Failed(failure.into_run_failure())
    }

    /// Returns `true` if the stage is a source that ends by itself.
    fn is_bounded(&self, stage: StageId) -> bool {
        self.assembly.sources.iter().filter(|(id, _)| *id == stage).any(|(_, source)| lock(source).progress().bounded)
    }

    fn spawn(&mut self, lane: Lane, reports: Sender<Result<(), NotStarted>>) -> Result<(), RunError> {
        let Lane { name, stage, placement, task } = lane;
        let thread_name = name.clone();
        let unended = self.control.begin(task.what(&self.plan.stage(stage).name));
        let body = move || {
            let _unended = unended;
            let seat = match placement.take() {
                Ok(seat) => seat,
                Err(error) => {
                    let _ = reports.send(Err(NotStarted::Placed { lane: name, reason: with_causes(&error) }));
                    return task.unstarted();
                }
            };
            let end = task.run(reports);
            drop(seat);
            end
        };
        match thread::Builder::new().name(thread_name.clone()).stack_size(STACK).spawn(body) {
            Ok(thread) => {
                self.threads.push((stage, thread));
                Ok(())
            }
            Err(error) => {
                self.stop_and_wait();
                Err(RunError::Lane { lane: thread_name, reason: error.to_string() })
            }
        }
    }

    fn stop_and_wait(&mut self) {
        self.control.abort();
        for (_, end) in self.join() {
            let sink = match end {
                LaneEnd::Sink(sink) => Some(sink),
                LaneEnd::Chain(end) => end.sink.map(|(_, sink)| sink),
                LaneEnd::Operator | LaneEnd::Source(_) => None,
            };
            if let Some(mut sink) = sink
                && let Err(error) = sink.finish(SinkOutcome::Partial)
            {
                tracing::error!(%error, "an output could not be closed");
            }
        }
    }

    fn join(&mut self) -> Vec<(StageId, LaneEnd)> {
        let mut ends = Vec::new();
        for (stage, thread) in self.threads.drain(..) {
            match thread.join() {
                Ok(end) => ends.push((stage, end)),
                // A panic in a lane is a bug in the host. The other lanes must not wait for this lane.
                Err(_) => {
                    let name = &self.plan.stage(stage).name;
                    self.control.fail(PipelineError::fault(name, "a lane of the host panicked"));
                }
            }
        }
        ends
    }
}

fn lock(source: &SharedSource) -> MutexGuard<'_, Box<dyn Source>> {
    source.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The reason why a lane does not run.
enum NotStarted {
    Guest(PipelineError),
    Placed { lane: String, reason: String },
}

impl Task {
    /// Starts the guest, reports, and works until the end. A panic cuts the run first, so that no lane waits
    /// for this one.
    fn run(self, reports: Sender<Result<(), NotStarted>>) -> LaneEnd {
        match self {
            Self::Source(lane) => {
                let _guard = CutOnPanic(Arc::clone(&lane.policy.control));
                let _ = reports.send(Ok(()));
                drop(reports);
                LaneEnd::Source(lane.run())
            }
            Self::ComponentSource(mut lane) => {
                let _guard = CutOnPanic(Arc::clone(&lane.policy.control));
                let started = start_guest(&mut lane.supervisor, &lane.policy.stage, lane.policy.instance);
                let ok = started.is_ok();
                let _ = reports.send(started);
                drop(reports);
                LaneEnd::Source(if ok { lane.run() } else { SourceEnd::StoppedEarly })
            }
            Self::Operator(mut lane) => {
                let _guard = CutOnPanic(Arc::clone(&lane.policy.control));
                let started = start_guest(&mut lane.supervisor, &lane.policy.stage, lane.policy.instance);
                let ok = started.is_ok();
                let _ = reports.send(started);
                drop(reports);
                if ok {
                    lane.run();
                }
                LaneEnd::Operator
            }
            Self::Sink(lane) => {
                let _guard = CutOnPanic(Arc::clone(&lane.policy.control));
                let _ = reports.send(Ok(()));
                drop(reports);
                LaneEnd::Sink(lane.run())
            }
            Self::Chain(mut chain) => {
                let _guard = CutOnPanic(Arc::clone(chain.control()));
                let started = start_guests(&mut chain);
                let ok = started.iter().all(Result::is_ok);
                for report in started {
                    let _ = reports.send(report);
                }
                drop(reports);
                LaneEnd::Chain(if ok { chain.run() } else { chain.into_end() })
            }
        }
    }

    /// The name of the task in a list of tasks that have not ended.
    fn what(&self, stage: &str) -> String {
        match self {
            Self::Chain(chain) => {
                let stages: Vec<_> = chain.policies().map(|policy| format!("\"{}\"", policy.stage)).collect();
                format!("the chain of {}", stages.join(", "))
            }
            Self::Sink(_) => format!("sink \"{stage}\""),
            Self::Source(_) | Self::ComponentSource(_) => format!("source \"{stage}\""),
            Self::Operator(lane) => format!("\"{stage}\" (instance {})", lane.policy.instance),
        }
    }

    fn unstarted(self) -> LaneEnd {
        match self {
            Self::Source(_) | Self::ComponentSource(_) => LaneEnd::Source(SourceEnd::StoppedEarly),
            Self::Operator(_) => LaneEnd::Operator,
            Self::Sink(lane) => LaneEnd::Sink(lane.sink),
            Self::Chain(chain) => LaneEnd::Chain(chain.into_end()),
        }
    }
}

fn start_guest(supervisor: &mut GuestSupervisor, stage: &str, instance: u32) -> Result<(), NotStarted> {
    supervisor.start_first().map_err(|failure| {
        let hint = failure.hint(stage);
        let Failure { code, message, .. } = failure;
        NotStarted::Guest(PipelineError { stage: stage.to_owned(), instance, code, message, record: None, hint })
    })
}

/// Starts the guests of a chain in parallel, because each start waits for its worker.
fn start_guests(chain: &mut Chain) -> Vec<Result<(), NotStarted>> {
    thread::scope(|scope| {
        let start =
            |lane: &mut OperatorLane| start_guest(&mut lane.supervisor, &lane.policy.stage, lane.policy.instance);
        let starting: Vec<_> = chain.operators().map(|lane| scope.spawn(move || start(lane))).collect();
        // A panic is propagated here.
        starting
            .into_iter()
            .map(|started| started.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

/// Aborts the run if the lane panics, so that no other lane waits for it.
struct CutOnPanic(Arc<Control>);

impl Drop for CutOnPanic {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.abort();
        }
    }
}
