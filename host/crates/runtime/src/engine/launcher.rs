use std::fmt;
use std::sync::Arc;

use super::error::RunError;
use super::lane_guest::LaneGuest;
use sage_admission::{Grant, Isolation, StageGrant};
use sage_machine::{CpuSet, LeasedThreads, SharedCpus};
use sage_models::ModelAccess;
use sage_observe::KernelReading;
use sage_plan::Plan;
use sage_plan::config::{HostSettings, TenantName};
use sage_sandbox::{GuestSpec, Loaded};

/// Gives runs the place where their instances live, if that is not threads of this process.
pub trait Launcher: Send + Sync + fmt::Debug {
    /// What instances can be held by there, for admission to count on. Found out once, by trying.
    fn bounds(&self, settings: &HostSettings) -> Isolation;

    /// Makes the place of a run that was admitted.
    ///
    /// # Errors
    /// What could not be made; nothing is left of it.
    fn begin(&self, run: RunContext<'_>) -> Result<Arc<dyn InstanceLauncher>, RunError>;
}

/// What is to be known of a run to give it its place.
pub struct RunContext<'a> {
    /// The pipeline's name.
    pub pipeline: &'a str,
    /// On whose behalf it runs.
    pub tenant: &'a TenantName,
    /// What `host.toml` says.
    pub settings: &'a HostSettings,
    /// The plan.
    pub plan: &'a Plan,
    /// What admission gave it.
    pub grant: &'a Grant,
}

/// Where the instances of one run live. The engine's own is threads of this process; room `worker` has processes.
pub trait InstanceLauncher: Send + Sync {
    /// Makes the place of an instance. Nothing of its guests runs before they are started.
    ///
    /// # Errors
    /// What could not be made; nothing is left of it.
    fn instance(&self, order: InstanceSetup<'_>) -> Result<LaunchedInstance, RunError>;

    /// The run stops at once: whatever a lane waits for outside its own thread ends now. More is never asked for.
    fn abort(&self) {}

    /// Whether guests run in the threads of their lanes, so that a lane belongs on its guest's CPU.
    fn in_lane_threads(&self) -> bool;
}

/// What is to be known of an instance to give it its place.
pub struct InstanceSetup<'a> {
    /// Its component.
    pub loaded: &'a Arc<Loaded>,
    /// Its guests, as the first lane's.
    pub spec: GuestSpec,
    /// What it may do with models, if it holds a lease on a device; its guests have the same.
    pub models: Option<Arc<dyn ModelAccess>>,
    /// The CPU that each lane has to itself, if it has one.
    pub lanes: Vec<Option<CpuSet>>,
    /// What admission gave it.
    pub grant: &'a StageGrant,
    /// Where whoever has no CPU runs.
    pub shared: &'a SharedCpus,
    /// Where those are noted that have a CPU.
    pub leased: &'a LeasedThreads,
}

/// The place of an instance.
pub struct LaunchedInstance {
    /// A guest for each lane, not yet started.
    pub guests: Vec<Box<dyn LaneGuest>>,
    /// What the kernel counts of it, if it is alone in a group of the kernel's.
    pub kernel: Option<Arc<dyn KernelReading>>,
}
