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

/// Launches the instances of runs outside the threads of this process.
pub trait Launcher: Send + Sync + fmt::Debug {
    /// The limits that this launcher can enforce, for admission. They are detected once, by trying.
    fn bounds(&self, settings: &HostSettings) -> Isolation;

    /// Prepares the launch of an admitted run's instances.
    ///
    /// # Errors
    /// The item that could not be made. Nothing remains after an error.
    fn begin(&self, run: RunContext<'_>) -> Result<Arc<dyn InstanceLauncher>, RunError>;
}

/// The parts of a run that a launcher needs.
pub struct RunContext<'a> {
    /// The pipeline's name.
    pub pipeline: &'a str,
    /// The name of the run's control group, if this process is to take part in it. Otherwise the group is named after
    /// the pipeline.
    pub job: Option<&'a str>,
    /// The tenant that the pipeline runs for.
    pub tenant: &'a TenantName,
    /// The settings of `host.toml`.
    pub settings: &'a HostSettings,
    /// The plan.
    pub plan: &'a Plan,
    /// The resources that admission granted.
    pub grant: &'a Grant,
}

/// Launches the instances of one run. The engine's own launcher uses threads of this process; module `worker`
/// uses processes.
pub trait InstanceLauncher: Send + Sync {
    /// Launches an instance. Its guests run nothing before they are started.
    ///
    /// # Errors
    /// The item that could not be made. Nothing remains after an error.
    fn instance(&self, order: InstanceSetup<'_>) -> Result<LaunchedInstance, RunError>;

    /// Aborts the run: ends every wait of a lane outside its own thread. The engine asks for no further
    /// instances.
    fn abort(&self) {}

    /// Returns `true` if guests run in the threads of their lanes, so that a lane belongs on its guest's CPU.
    fn in_lane_threads(&self) -> bool;
}

/// The setup of an instance for its launch.
pub struct InstanceSetup<'a> {
    /// The component of the instance.
    pub loaded: &'a Arc<Loaded>,
    /// The specification of its guests, filled in for the first lane.
    pub spec: GuestSpec,
    /// The models that the instance may use, if it holds a device lease. Its guests have the same access.
    pub models: Option<Arc<dyn ModelAccess>>,
    /// The leased CPU of each lane, if it has one.
    pub lanes: Vec<Option<CpuSet>>,
    /// The resources that admission granted.
    pub grant: &'a StageGrant,
    /// The CPUs for threads without a leased CPU.
    pub shared: &'a SharedCpus,
    /// The record of threads on leased CPUs.
    pub leased: &'a LeasedThreads,
}

/// A launched instance.
pub struct LaunchedInstance {
    /// A guest for each lane, not yet started.
    pub guests: Vec<Box<dyn LaneGuest>>,
    /// The kernel's counters of the instance, if the instance is alone in its cgroup.
    pub kernel: Option<Arc<dyn KernelReading>>,
}
