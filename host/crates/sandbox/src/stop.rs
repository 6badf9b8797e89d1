use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether a run has been stopped at once: set by whoever stops it, and looked at by its guests' calls, inside the guest and inside the host. Cheap to
/// clone; all clones are one.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// From now on calls end within a few milliseconds, as having failed.
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was set.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
