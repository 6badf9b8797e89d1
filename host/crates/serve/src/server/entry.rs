use std::process::Child;

use sage_jobs::RestartClass;

use crate::state::{Job, RolloutStage, State};
use crate::store::JobSpec;

/// A job, and what this server holds of its processes.
#[derive(Debug)]
pub(super) struct Entry {
    /// What its user asked for.
    pub(super) spec: JobSpec,
    /// Its state.
    pub(super) job: Job,
    /// The process of its attempt, if this server started it.
    pub(super) child: Option<Child>,
    /// Whether the death of its process will be told. If not, its lock is looked at each second.
    pub(super) watched: bool,
    /// Its check, while it is under way.
    pub(super) check: Option<Child>,
    /// When its process was asked to end, and whether it took the request.
    pub(super) asked: Option<Asked>,
    /// Whether it tries again to find room, which is not worth an event until it does.
    pub(super) retries: bool,
    /// Whether its state is newer than the one on disk.
    pub(super) unsaved: bool,
    /// When it began to wait for its turn and for room, while it does.
    pub(super) queued: Option<u64>,
    /// When its process was last started.
    pub(super) started: Option<u64>,
}

/// A request to end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) at: u64,
    pub(super) taken: bool,
}

impl Entry {
    pub(super) fn new(spec: JobSpec, job: Job) -> Self {
        let queued = (job.state == State::Queued).then_some(job.since);
        Self {
            spec,
            job,
            child: None,
            watched: false,
            check: None,
            asked: None,
            retries: false,
            unsaved: false,
            queued,
            started: None,
        }
    }

    /// The revision whose check is under way, or waits for its turn.
    pub(super) fn in_check(&self) -> Option<u32> {
        match &self.job.rollout {
            _ if self.job.state == State::Checking => Some(self.spec.revision),
            Some(rollout) if rollout.stage == RolloutStage::Checking => Some(rollout.to),
            _ => None,
        }
    }

    /// The word for what another attempt costs.
    pub(super) fn class(&self) -> Option<&'static str> {
        self.job.class.map(|class| match class {
            RestartClass::Idempotent => "idempotent",
            RestartClass::AtLeastOnce => "at-least-once",
            RestartClass::LosesState => "loses-state",
        })
    }
}
