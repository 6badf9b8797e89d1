use std::sync::Arc;

use super::run::Running;
use sage_observe::{Registry, SourceReading, Summary};
use sage_sandbox::Sandbox;

/// A running pipeline. If it is dropped without [`Session::wait`], the pipeline continues unwatched until it
/// ends or the process ends.
pub struct Session {
    running: Running,
    _sandbox: Arc<Sandbox>,
}

impl Session {
    pub(super) fn new(running: Running, sandbox: Arc<Sandbox>) -> Self {
        Self { running, _sandbox: sandbox }
    }

    /// The values that can be watched during the run.
    #[must_use]
    pub fn registry(&self) -> Arc<Registry> {
        Arc::clone(self.running.registry())
    }

    /// Returns a function that reads the progress of each built-in source.
    pub fn source_readings(&self) -> impl Fn() -> Vec<SourceReading> + Send + 'static {
        self.running.source_readings()
    }

    /// Blocks until the last record is processed, or until the pipeline has failed or was stopped. Completes
    /// the sinks.
    #[must_use]
    pub fn wait(self) -> Summary {
        self.running.finish()
    }
}
