use std::sync::Arc;

use super::run::Running;
use sage_observe::{Registry, SourceReading, Summary};
use sage_sandbox::Sandbox;

/// A pipeline that runs. Dropping it without [`Session::wait`] lets it run on unwatched to its end, or the process's.
pub struct Session {
    running: Running,
    _sandbox: Arc<Sandbox>,
}

impl Session {
    pub(super) fn new(running: Running, sandbox: Arc<Sandbox>) -> Self {
        Self { running, _sandbox: sandbox }
    }

    /// What can be watched while it runs.
    #[must_use]
    pub fn registry(&self) -> Arc<Registry> {
        Arc::clone(self.running.registry())
    }

    /// Reads how far each built-in source is.
    pub fn source_readings(&self) -> impl Fn() -> Vec<SourceReading> + Send + 'static {
        self.running.source_readings()
    }

    /// Blocks until the last record is taken care of, or the pipeline has failed or was stopped; completes the sinks.
    #[must_use]
    pub fn wait(self) -> Summary {
        self.running.finish()
    }
}
