use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::hold::HeldLeases;
use super::launcher::InstanceLauncher;
use super::saved_run::SavedRun;
use crate::connector::{PathGuard, Sink, Source};
use sage_admission::Grant;
use sage_machine::{LeasedThreads, SharedCpus};
use sage_models::ModelService;
use sage_plan::config::TenantName;
use sage_plan::{Plan, StageId};
use sage_sandbox::Loaded;

/// All parts of a run: the plan, the loaded components, the granted resources, and the items passed in.
pub(super) struct Parts {
    pub(super) plan: Plan,
    /// The tenant that the pipeline runs for.
    pub(super) tenant: TenantName,
    /// The component of each stage that has one.
    pub(super) components: BTreeMap<StageId, Arc<Loaded>>,
    pub(super) grant: Grant,
    /// The service that runs models for instances. Ends before the leases that it uses.
    pub(super) models: ModelService,
    /// Held until the last lane has ended.
    pub(super) leases: Arc<HeldLeases>,
    pub(super) shared: SharedCpus,
    /// The threads that are pinned to leased CPUs.
    pub(super) leased: LeasedThreads,
    /// The cgroup that contains the groups of workers, if there are any.
    pub(super) slice: Option<String>,
    /// Whether the run ends if a hard limit is no longer hard.
    pub(super) strict: bool,
    /// Launches and hosts the instances. Ends with the last of them.
    pub(super) instances: Arc<dyn InstanceLauncher>,
    /// Sources and sinks that the embedder provides, by stage name.
    pub(super) provided: Provided,
    /// The checkpoints, and the epoch from which the run goes on. The coordinator takes them over.
    pub(super) saved: Option<SavedRun>,
    /// Guards the paths of the files that the run reads.
    pub(super) guard: Arc<PathGuard>,
}

/// Sources and sinks passed in from Rust, by stage name.
#[derive(Default)]
pub(super) struct Provided {
    /// Sources.
    pub(super) sources: HashMap<String, Box<dyn Source>>,
    /// Sinks.
    pub(super) sinks: HashMap<String, Box<dyn Sink>>,
}
