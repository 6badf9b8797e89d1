use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};

use super::processes::Processes;
use super::spawn::Spawner;
use crate::engine::{Instances, Isolation, RunError, RunOrder};
use crate::resources::cgroup::{Cgroups, GroupLimits};

/// Gives each instance a worker process of its own, in a group of its own where the kernel has groups.
#[derive(Debug)]
pub struct ProcessIsolation {
    program: PathBuf,
    cgroups: OnceLock<Cgroups>,
}

impl ProcessIsolation {
    /// Workers are started as `program worker`, which must come to [`super::serve`]. For `sage-host` itself that is `/proc/self/exe`.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self { program: program.into(), cgroups: OnceLock::new() }
    }
}

impl Isolation for ProcessIsolation {
    fn begin(&self, run: RunOrder<'_>) -> Result<Box<dyn Instances>, RunError> {
        let cgroups = self.cgroups.get_or_init(|| Cgroups::detect(None));
        let failed = |error: &dyn std::error::Error| RunError::Internal(error.to_string());
        let group = cgroups
            .tenant("default", &GroupLimits::default())
            .and_then(|tenant| tenant.pipeline(run.pipeline, &GroupLimits::default()))
            .map_err(|error| failed(&error))?;
        let spawner = Arc::new(Spawner::start().map_err(|error| failed(&error))?);
        Ok(Box::new(Processes {
            program: self.program.clone(),
            spawner,
            group: Some(group),
            components: Mutex::new(HashMap::new()),
        }))
    }
}
