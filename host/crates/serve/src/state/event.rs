use sage_jobs::{JobOutcome, RestartClass};
use serde::{Deserialize, Serialize};

/// An event in the life of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The check found no objection: that of the job's first revision, or the one beside the job.
    Checked {
        /// Cost of another attempt.
        class: RestartClass,
    },
    /// The check found an objection.
    Objected {
        /// The exit code that `run` would have had.
        exit_code: u8,
        /// The error in a line.
        message: String,
    },
    /// The process of the check ended without a result.
    CheckBroke {
        /// The known facts, in a line.
        message: String,
    },
    /// The queue gives the job a turn.
    Chosen,
    /// The process of the attempt cannot be started.
    NotStarted {
        /// The attempt.
        attempt: u32,
        /// The reason.
        message: String,
    },
    /// Records of the attempt flow, or could.
    Runs {
        /// The attempt.
        attempt: u32,
    },
    /// The attempt ended with a report.
    Ended {
        /// The attempt.
        attempt: u32,
        /// The reported end.
        outcome: JobOutcome,
        /// The exit code that `run` would have had.
        exit_code: u8,
        /// The error in a line.
        message: Option<String>,
    },
    /// The process of the attempt is gone, without a report.
    Crashed {
        /// The attempt.
        attempt: u32,
        /// The known facts, in a line.
        message: String,
    },
    /// The attempt never began: a server ended between its decision and the start of the process.
    NeverBegan {
        /// The attempt.
        attempt: u32,
    },
    /// The server was started again while the job was in a state of which nothing remains.
    Restored,
    /// The user stops the job.
    Stop {
        /// The mode of the stop.
        mode: StopMode,
        /// Milliseconds that a drain may take; the job's own timeout by default.
        timeout: Option<u64>,
    },
    /// The user starts a job that has ended, or that is about to end.
    Start,
    /// The user wants another attempt, after a drain.
    Restart,
    /// The user wants another revision, which is checked first.
    RollOut {
        /// The revision.
        to: u32,
        /// Milliseconds for which it must run without a failure, or the one before comes back.
        watch: u64,
    },
    /// Time has passed.
    Tick,
}

/// The mode of a stop, from gentle to strong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StopMode {
    /// Sources stop, and records that were read are finished.
    Drain,
    /// Everything stops at once.
    Abort,
    /// The kernel ends the process.
    Kill,
}
