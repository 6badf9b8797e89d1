use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::hold::HeldLeases;
use super::launcher::InstanceLauncher;
use crate::connector::{PathGuard, Sink, Source};
use sage_admission::Grant;
use sage_machine::{LeasedThreads, SharedCpus};
use sage_models::ModelService;
use sage_plan::config::TenantName;
use sage_plan::{Plan, StageId};
use sage_sandbox::Loaded;

/// Everything a run is made of: what was planned, loaded, granted and handed over.
pub(super) struct Parts {
    pub(super) plan: Plan,
    /// On whose behalf it runs.
    pub(super) tenant: TenantName,
    /// The component of each stage that has one.
    pub(super) components: BTreeMap<StageId, Arc<Loaded>>,
    pub(super) grant: Grant,
    /// What runs models for instances; ends before the leases it runs for.
    pub(super) models: ModelService,
    /// Held until the last lane has ended.
    pub(super) leases: Arc<HeldLeases>,
    pub(super) shared: SharedCpus,
    /// Who was put on leased CPUs.
    pub(super) leased: LeasedThreads,
    /// Where the groups of workers lie, where there are any.
    pub(super) slice: Option<String>,
    /// Whether a limit that ceases to be hard ends the run.
    pub(super) strict: bool,
    /// Where instances live; ends with the last of them.
    pub(super) instances: Arc<dyn InstanceLauncher>,
    /// Sources and sinks that the embedder provides, by stage name.
    pub(super) provided: Provided,
    /// Which files it reads.
    pub(super) guard: Arc<PathGuard>,
}

/// Sources and sinks handed over from Rust, by the name of their stage.
#[derive(Default)]
pub(super) struct Provided {
    /// Sources.
    pub(super) sources: HashMap<String, Box<dyn Source>>,
    /// Sinks.
    pub(super) sinks: HashMap<String, Box<dyn Sink>>,
}
