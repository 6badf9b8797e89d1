use super::StopMode;

/// What the server does after it has persisted a new state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Check the revision, or the new one of a rollout, in a process of its own.
    Check,
    /// End the process of the check.
    EndCheck,
    /// Put the job into the queue.
    Enqueue,
    /// Take the job out of the queue.
    Dequeue,
    /// Start the process of an attempt. The state that names the attempt is on disk before.
    Spawn {
        /// Number of the attempt.
        attempt: u32,
    },
    /// Ask the process to end, or end it.
    End {
        /// How.
        mode: StopMode,
        /// Milliseconds that a drain may take.
        timeout: u64,
    },
}
