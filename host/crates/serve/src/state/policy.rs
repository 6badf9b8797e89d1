use sage_jobs::RestartClass;
use serde::{Deserialize, Serialize};

/// When another attempt follows an attempt that its user did not end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartOn {
    /// Never.
    Never,
    /// After a crash of the job's process.
    Crash,
    /// After a crash, and after a failure of the pipeline.
    Failure,
}

/// The restarts of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RestartPolicy {
    /// What its user said. `None`: after a crash, but never if another attempt loses state.
    pub on: Option<RestartOn>,
}

impl RestartPolicy {
    /// Most restarts within [`Self::WINDOW`] milliseconds. One more is a restart storm, and the job fails.
    pub const MOST: usize = 5;
    /// See [`Self::MOST`].
    pub const WINDOW: u64 = 10 * 60 * 1000;
    /// First pause before a restart; each further one is twice as long.
    const FIRST: u64 = 1000;
    /// Longest pause.
    const LONGEST: u64 = 5 * 60 * 1000;
    /// An attempt that ran for this time was healthy: the next pause is the first one again.
    pub const HEALTHY: u64 = 2 * 60 * 1000;

    /// When another attempt follows, for a job of this class.
    #[must_use]
    pub fn effective(self, class: Option<RestartClass>) -> RestartOn {
        let default = match class {
            Some(RestartClass::Idempotent | RestartClass::AtLeastOnce) => RestartOn::Crash,
            Some(RestartClass::LosesState) | None => RestartOn::Never,
        };
        self.on.unwrap_or(default)
    }

    /// The pause before restart number `n`, from 0. `seed` spreads jobs that crashed together over a fifth of it.
    pub(super) fn pause(n: u32, seed: u64) -> u64 {
        let pause = Self::FIRST.saturating_mul(1 << n.min(16)).min(Self::LONGEST);
        pause - seed % (pause / 5)
    }
}

/// Milliseconds after which a state leads to a stronger one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts;

impl Timeouts {
    /// Longest check. A component compiles for at most a minute.
    pub const CHECK: u64 = 2 * 60 * 1000;
    /// Longest start, to the first record that could flow.
    pub const START: u64 = 2 * 60 * 1000;
    /// The job itself aborts at the end of its drain timeout; this is the time that it has for this.
    pub const DRAIN_GRACE: u64 = 5 * 1000;
    /// Longest abort.
    pub const ABORT: u64 = 10 * 1000;
    /// Pause between two kills of a process that does not go, for example one in an uninterruptible wait.
    pub const KILL: u64 = 5 * 1000;
    /// Longest drain timeout that a user may ask for.
    pub const LONGEST_DRAIN: u64 = 24 * 60 * 60 * 1000;
}
