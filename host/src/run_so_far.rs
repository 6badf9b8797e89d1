use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::ExitCode;
use super::failure::Failure;
use super::verdict::verdict;
use sage_observe::{Registry, Summary};
use sage_runtime::engine::StopHandle;

/// What is known of a run at any time, for a report that does not wait for its end.
#[derive(Debug, Default)]
pub(super) struct RunSoFar {
    stop: OnceLock<StopHandle>,
    /// The registry while the run lasts. The end of the run drops it, because it keeps the run's devices.
    registry: Mutex<Option<Arc<Registry>>>,
    summary: OnceLock<Summary>,
}

/// A report on a run that has not ended. The counts are those known so far.
#[derive(Debug)]
pub(super) struct SoFar {
    /// `None` if no data flowed.
    pub(super) summary: Option<Summary>,
    /// The failure that the program ends with; `None` if the run has succeeded and only its report is missing.
    pub(super) failure: Option<Failure>,
    /// The items for which nobody waits any longer.
    pub(super) unended: Vec<String>,
}

impl RunSoFar {
    /// Called when the run can be stopped.
    pub(super) fn made(&self, stop: StopHandle) {
        // There is only one run, so this is the only call.
        let _ = self.stop.set(stop);
    }

    /// Called when the run has begun.
    pub(super) fn begun(&self, registry: Arc<Registry>) {
        self.set_registry(Some(registry));
    }

    /// Called when the run is over and its summary has not been reported yet.
    pub(super) fn over(&self, summary: Summary) {
        let _ = self.summary.set(summary);
        self.set_registry(None);
    }

    /// The handle of the run; `None` before it was made.
    pub(super) fn stop(&self) -> Option<&StopHandle> {
        self.stop.get()
    }

    /// The registry while data flows.
    pub(super) fn registry(&self) -> Option<Arc<Registry>> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_registry(&self, registry: Option<Arc<Registry>>) {
        let before = std::mem::replace(&mut *self.registry.lock().unwrap_or_else(PoisonError::into_inner), registry);
        // Dropped after the lock is released, because dropping a registry may take a while.
        drop(before);
    }

    /// The report if the program ended now.
    pub(super) fn report(&self) -> SoFar {
        let stop = self.stop.get();
        let known = || Some(Summary::of(&*self.registry()?, stop?.outcome_so_far()));
        let unended = stop.map(StopHandle::unended).unwrap_or_default();
        let summary = self.summary.get().cloned().or_else(known);
        let summary = summary.map(|summary| Summary { unended: unended.clone(), ..summary });
        let failure = match &summary {
            Some(summary) => verdict(summary).err(),
            None => Some(Failure::new(ExitCode::Interrupted, "interrupted while it started: no record was read")),
        };
        SoFar { summary, failure, unended }
    }
}
