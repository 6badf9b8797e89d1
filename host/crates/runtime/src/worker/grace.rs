use std::time::Duration;

/// Maximum silence of a worker in addition to the duration of a call. A worker that is silent for longer counts
/// as stuck. A start takes tens of milliseconds, and seconds on a machine that swaps.
pub(super) const GRACE: Duration = Duration::from_secs(5);
