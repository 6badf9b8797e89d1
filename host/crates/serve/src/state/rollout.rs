use sage_jobs::RestartClass;
use serde::{Deserialize, Serialize};

/// A change of the revision that is under way.
///
/// ```text
///  checking ──▶ switching ──▶ watching ──▶ done
///     │       the attempt ends   │
///     ▼                          ▼ the new revision fails
///  refused                    rolled back
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rollout {
    /// The revision before.
    pub from: u32,
    /// The revision after.
    pub to: u32,
    /// How far it is.
    pub stage: RolloutStage,
    /// Time at which the stage ends.
    pub until: Option<u64>,
    /// Milliseconds for which the new revision must run without a failure.
    pub watch: u64,
    /// Cost of another attempt of the revision before.
    pub class_before: Option<RestartClass>,
    /// Cost of another attempt of the new revision, once its check has found it.
    pub class: Option<RestartClass>,
    /// Whether the job ran, or was about to, before. Otherwise a failure does not start the revision before.
    pub ran: bool,
}

/// How far a change of the revision is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RolloutStage {
    /// A process checks the new revision. The job goes on meanwhile.
    Checking,
    /// The attempt of the revision before ends.
    Switching,
    /// The new revision is in force, and a failure makes the one before it come back.
    Watching,
}

/// How the last change of the revision ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RolloutEnd {
    /// The revision before.
    pub from: u32,
    /// The revision that was asked for.
    pub to: u32,
    /// When it ended, in milliseconds since the Unix epoch.
    pub at: u64,
    /// How it ended.
    pub outcome: RolloutOutcome,
    /// The reason, if it is not done.
    pub message: Option<String>,
}

/// How a change of the revision ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RolloutOutcome {
    /// The new revision is in force.
    Done,
    /// The check found an objection. The job was left alone.
    Refused,
    /// The new revision failed, and the one before is in force again.
    RolledBack,
    /// The user stopped the job meanwhile.
    Cancelled,
}

impl RolloutOutcome {
    /// The code of the event.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Done => "rolled-out",
            Self::Refused => "rollout-refused",
            Self::RolledBack => "rolled-back",
            Self::Cancelled => "rollout-cancelled",
        }
    }
}
