use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sage_admission::Grant;
use sage_jobs::{JobOrder, JobStage, JobState as Stage, JobStatus, VERSION, now};
use sage_observe::{InstanceView, Registry, StageView, Summary, metrics_text};
use sage_plan::Plan;
use sage_runtime::engine::{SavepointNameError, StopHandle};
use serde_json::{Value, json};

use crate::plan_json::{edges, stages};
use crate::run_so_far::{RunSoFar, SoFar};

/// Longest wait for a savepoint. Whoever asked waits a little longer.
const SAVEPOINT_TIME: Duration = Duration::from_secs(20);
const NOT_SO_FAR: &str = "the job has not come so far, or is over";

/// What an attempt does now. Written by the thread that runs it, and read by those that tell others.
///
/// **Waiting.** [`JobState::wait`] waits for a change of the state, with a time limit.
#[derive(Debug)]
pub(super) struct JobState {
    order: Arc<JobOrder>,
    run: RunSoFar,
    known: Mutex<Known>,
    changed: Condvar,
}

#[derive(Debug)]
struct Known {
    state: Stage,
    since: u64,
    /// Number of changes of the state.
    changes: u64,
    no_room: Option<bool>,
    graph: Option<Value>,
    report: Option<Value>,
    /// Bytes that may wait in front of all instances of a stage.
    queue_limits: Vec<u64>,
}

impl JobState {
    pub(super) fn new(order: Arc<JobOrder>) -> Self {
        let known = Known {
            state: Stage::Starting,
            since: now(),
            changes: 0,
            no_room: None,
            graph: None,
            report: None,
            queue_limits: Vec::new(),
        };
        Self { order, run: RunSoFar::default(), known: Mutex::new(known), changed: Condvar::new() }
    }

    /// The order of the attempt.
    pub(super) fn order(&self) -> &JobOrder {
        &self.order
    }

    /// The pipeline was read and is valid.
    pub(super) fn read(&self, plan: &Plan, stop: StopHandle) {
        self.run.made(stop);
        self.lock().graph = Some(json!({ "stages": stages(plan), "edges": edges(plan) }));
    }

    /// Takes a savepoint, and waits for it.
    pub(super) fn savepoint(&self, name: &str, stop: bool) -> Result<Value, String> {
        let name = name.parse().map_err(|error: SavepointNameError| error.to_string())?;
        let Some(handle) = self.run.stop() else { return Err(NOT_SO_FAR.to_owned()) };
        let Some(answer) = handle.savepoint(name, stop) else {
            return Err(
                "the pipeline has no checkpoints, or does not run: checkpoint in [pipeline] names a folder for them"
                    .to_owned(),
            );
        };
        match answer.recv_timeout(SAVEPOINT_TIME) {
            Ok(saved) => saved.and_then(|saved| serde_json::to_value(saved).map_err(|error| error.to_string())),
            Err(RecvTimeoutError::Timeout) => Err("the savepoint takes long, and comes later".to_owned()),
            Err(RecvTimeoutError::Disconnected) => Err("the run ended before the savepoint".to_owned()),
        }
    }

    /// Others hold what the pipeline asks for. `of_tenant`: only jobs of its own tenant do.
    pub(super) fn no_room(&self, of_tenant: bool) {
        self.lock().no_room = Some(of_tenant);
    }

    /// Whether others held what the pipeline asks for, and if only jobs of its own tenant did.
    pub(super) fn no_room_for(&self) -> Option<bool> {
        self.lock().no_room
    }

    /// The pipeline was admitted.
    pub(super) fn admitted(&self, grant: &Grant) {
        let mut known = self.lock();
        known.report = serde_json::to_value(&grant.report).ok();
        known.queue_limits = grant.stages.iter().map(|stage| stage.edge_bytes).collect();
    }

    /// Data flows.
    pub(super) fn begun(&self, registry: Arc<Registry>) {
        self.run.begun(registry);
        self.update();
    }

    /// Data flows no more.
    pub(super) fn over(&self, summary: Summary) {
        self.run.over(summary);
    }

    /// The handle of the run; `None` before the pipeline was read.
    pub(super) fn stop(&self) -> Option<&StopHandle> {
        self.run.stop()
    }

    /// The report if the process ended now.
    pub(super) fn so_far(&self) -> SoFar {
        self.run.report()
    }

    /// Notices that the run began, drains or stops.
    pub(super) fn update(&self) {
        let state = match self.run.stop() {
            Some(stop) if stop.is_cut() => Stage::Aborting,
            Some(stop) if stop.is_draining() => Stage::Draining,
            Some(_) if self.run.registry().is_some() => Stage::Running,
            _ => Stage::Starting,
        };
        let mut known = self.lock();
        if known.state != state {
            (known.state, known.since) = (state, now());
            known.changes += 1;
            self.changed.notify_all();
        }
    }

    /// Wakes everyone who waits.
    pub(super) fn wake(&self) {
        self.lock().changes += 1;
        self.changed.notify_all();
    }

    /// Waits for a change after `seen`, at most for `most`. Returns the number of changes.
    pub(super) fn wait(&self, seen: u64, most: Duration) -> u64 {
        let waited = self.changed.wait_timeout_while(self.lock(), most, |known| known.changes == seen);
        waited.unwrap_or_else(PoisonError::into_inner).0.changes
    }

    /// The enforcement report; `None` before the pipeline was admitted.
    pub(super) fn report(&self) -> Option<Value> {
        self.lock().report.clone()
    }

    /// The graph; `None` before the pipeline was read.
    pub(super) fn graph(&self) -> Option<Value> {
        self.lock().graph.clone()
    }

    /// The metrics; `None` unless data flows.
    pub(super) fn metrics(&self) -> Option<String> {
        metrics_text(self.run.registry()?).ok()
    }

    /// The status now.
    pub(super) fn status(&self) -> JobStatus {
        self.update();
        let registry = self.run.registry();
        let known = self.lock();
        let limits = known.queue_limits.iter().copied().chain(std::iter::repeat(0));
        let stages = registry.iter().flat_map(|registry| &registry.stages);
        JobStatus {
            version: VERSION,
            id: self.order.id.clone(),
            attempt: self.order.attempt,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            at: now(),
            state: known.state,
            since: known.since,
            stages: stages.zip(limits).map(|(stage, limit)| of_stage(stage, limit)).collect(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn of_stage(stage: &StageView, queue_limit: u64) -> JobStage {
    let sum = |read: &dyn Fn(&InstanceView) -> u64| stage.instances.iter().map(read).fold(0, u64::saturating_add);
    let memory = || stage.instances.iter().filter_map(|instance| instance.memory.as_deref());
    let measured = memory().next().is_some();
    let has_inputs = stage.kind != "source";
    JobStage {
        name: stage.name.clone(),
        kind: stage.kind.to_owned(),
        instances: u32::try_from(stage.instances.len()).unwrap_or(u32::MAX),
        records_in: sum(&|instance| instance.counters.records_in.get()),
        records_out: sum(&|instance| instance.counters.records_out.get()),
        rejected: sum(&|instance| instance.counters.rejected.get()),
        failed: sum(&|instance| instance.counters.failed.get()),
        dead_lettered: sum(&|instance| instance.counters.dead_lettered.get()),
        breaches: sum(&|instance| instance.errors.breaches().into_values().sum()),
        restarts: sum(&|instance| instance.counters.restarts.get()),
        memory_used: measured.then(|| memory().map(|memory| memory.used()).sum()),
        memory_limit: measured.then(|| memory().map(|memory| memory.cap()).fold(0, u64::saturating_add)),
        queue_bytes: if has_inputs { sum(&|instance| (instance.queue_bytes)()) } else { 0 },
        queue_limit: if has_inputs { queue_limit.saturating_mul(stage.instances.len() as u64) } else { 0 },
        cpu_seconds: seconds(sum(&|instance| instance.counters.cpu_nanoseconds.get())),
        throttled_seconds: seconds(sum(&|instance| instance.counters.throttled_nanoseconds.get())),
        latency_p99: stage.latency.as_ref().and_then(|latency| latency.percentile(0.99)).map(seconds),
    }
}

fn seconds(nanoseconds: u64) -> f64 {
    Duration::from_nanos(nanoseconds).as_secs_f64()
}
