use std::collections::VecDeque;

use sage_jobs::RestartClass;
use serde::{Deserialize, Serialize};

use super::{RestartPolicy, Rollout, RolloutEnd, StopMode};

/// The changing part of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// The wish of its user.
    pub desired: Desired,
    /// The present state.
    pub state: State,
    /// Start of the state, in milliseconds since the Unix epoch.
    pub since: u64,
    /// Time at which the state leads to a stronger one.
    pub deadline: Option<u64>,
    /// Number of the last attempt, from 1; 0 before the first.
    pub attempt: u32,
    /// Whether another attempt follows the end of this one, because its user asked for a restart.
    pub again: bool,
    /// Times of restarts after crashes and failures, the last ones.
    pub restarts: VecDeque<u64>,
    /// Restarts in a row without a healthy attempt between them.
    pub in_a_row: u32,
    /// Time at which records began to flow in this attempt.
    pub ran: Option<u64>,
    /// Cost of another attempt, once the check has found it.
    pub class: Option<RestartClass>,
    /// The restart policy.
    pub restart: RestartPolicy,
    /// Milliseconds that a drain may take.
    pub drain_timeout: u64,
    /// The reason for the state.
    pub blame: Option<Blame>,
    /// The revision that attempts run.
    #[serde(default = "first")]
    pub revision: u32,
    /// The change of the revision that is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Rollout>,
    /// How the last one ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_rollout: Option<RolloutEnd>,
}

/// The revision of a job that never had another one.
fn first() -> u32 {
    1
}

/// The reason for a state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blame {
    /// A stable word for programs.
    pub code: String,
    /// The same for people, in a line.
    pub message: String,
}

impl Blame {
    /// The code of a job that waits for what others on the machine hold.
    pub const MACHINE_FULL: &str = "machine-full";
    /// The code of a job that waits for what other jobs of its tenant hold.
    pub const TENANT_FULL: &str = "tenant-full";
}

/// The wish of a user for a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Desired {
    /// The job runs.
    Running,
    /// The job does not run.
    Stopped,
}

/// The state of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// A process checks its files.
    Checking,
    /// The job waits for its turn, or for resources that other runs hold.
    Queued,
    /// Its process starts.
    Starting,
    /// Records flow, or could.
    Running,
    /// Its process was asked to drain.
    Draining,
    /// Its process was asked to stop at once.
    Aborting,
    /// The kernel was asked to end its process.
    Killing,
    /// The job waits for its next attempt after a crash or a failure.
    Backoff,
    /// The job has ended.
    Ended {
        /// How.
        outcome: Outcome,
        /// The exit code that `run` would have had.
        exit_code: u8,
    },
}

/// How a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// All input was processed.
    Completed,
    /// A drain stopped the job, or its user stopped it before the start.
    Stopped,
    /// The job was aborted or killed.
    Aborted,
    /// The job failed or crashed, and no restart follows.
    Failed,
    /// The files are not valid, or this machine can never give the resources that they ask for.
    Rejected,
}

impl State {
    /// Whether a process of the job may be alive.
    #[must_use]
    pub fn is_live(self) -> bool {
        matches!(self, Self::Starting | Self::Running | Self::Draining | Self::Aborting | Self::Killing)
    }

    /// Whether the job has ended.
    #[must_use]
    pub fn is_ended(self) -> bool {
        matches!(self, Self::Ended { .. })
    }

    /// Whether the state ends by a deadline.
    #[must_use]
    pub fn is_transitional(self) -> bool {
        !matches!(self, Self::Queued | Self::Running | Self::Ended { .. })
    }

    /// The names of all states.
    pub const NAMES: [&'static str; 13] = [
        "checking",
        "queued",
        "starting",
        "running",
        "draining",
        "aborting",
        "killing",
        "backoff",
        "completed",
        "stopped",
        "aborted",
        "failed",
        "rejected",
    ];

    /// The name of the state: one of [`State::NAMES`].
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Checking => "checking",
            Self::Queued => "queued",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Draining => "draining",
            Self::Aborting => "aborting",
            Self::Killing => "killing",
            Self::Backoff => "backoff",
            Self::Ended { outcome, .. } => match outcome {
                Outcome::Completed => "completed",
                Outcome::Stopped => "stopped",
                Outcome::Aborted => "aborted",
                Outcome::Failed => "failed",
                Outcome::Rejected => "rejected",
            },
        }
    }

    /// The mode of stopping that this state is.
    pub(super) fn ending(self) -> Option<StopMode> {
        match self {
            Self::Draining => Some(StopMode::Drain),
            Self::Aborting => Some(StopMode::Abort),
            Self::Killing => Some(StopMode::Kill),
            _ => None,
        }
    }
}

impl Job {
    /// A job that was just submitted.
    #[must_use]
    pub fn submitted(restart: RestartPolicy, drain_timeout: u64, now: u64) -> Self {
        Self {
            desired: Desired::Running,
            state: State::Checking,
            since: now,
            deadline: Some(now + super::Timeouts::CHECK),
            attempt: 0,
            again: false,
            restarts: VecDeque::new(),
            in_a_row: 0,
            ran: None,
            class: None,
            restart,
            drain_timeout,
            blame: None,
            revision: first(),
            rollout: None,
            last_rollout: None,
        }
    }
}
