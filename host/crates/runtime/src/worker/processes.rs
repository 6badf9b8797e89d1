use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::instance::{Instance, Place, State};
use super::kernel_view::KernelView;
use super::process_guest::ProcessGuest;
use super::worker_setup::WorkerSetup;
use crate::engine::{InstanceLauncher, InstanceSetup, LaneGuest, LaunchedInstance, RunError};
use sage_admission::Cpus;
use sage_machine::cgroup::{Group, GroupLimits, HostSeat};
use sage_machine::{CpuSet, MemoryBudget};
use sage_process::Spawner;
use sage_process::sealed;
use sage_sandbox::Loaded;

/// The instances of one run, each in its own worker process.
pub(super) struct Processes {
    /// The place of this process in the cgroup of the run. It is left before the group is removed.
    pub(super) _host: Option<HostSeat>,
    pub(super) program: PathBuf,
    pub(super) spawner: Arc<Spawner>,
    /// The cgroup of the run.
    pub(super) group: Group,
    /// Whether cgroups can pin processes to CPUs.
    pub(super) cpuset: bool,
    /// Bytes of a worker in addition to its guests' memory.
    pub(super) overhead: u64,
    /// Additional bytes of each lane after the first.
    pub(super) lane_overhead: u64,
    /// The compiled code of each component, in sealed memory that cannot be changed.
    pub(super) components: Mutex<HashMap<PathBuf, Arc<OwnedFd>>>,
    /// All instances, for as long as their lanes hold them.
    pub(super) instances: Mutex<Vec<Weak<Instance>>>,
}

impl Processes {
    fn component(&self, loaded: &Loaded) -> Result<Arc<OwnedFd>, RunError> {
        let mut components = self.components.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = components.get(loaded.path()) {
            return Ok(Arc::clone(file));
        }
        let compiled = loaded.compiled().map_err(|error| RunError::Internal(error.to_string()))?;
        let file = sealed("sage-component", &compiled).map_err(|error| RunError::Internal(error.to_string()))?;
        let file = Arc::new(file);
        components.insert(loaded.path().to_owned(), Arc::clone(&file));
        Ok(file)
    }

    fn group(&self, order: &InstanceSetup<'_>, leased: Option<&CpuSet>) -> Result<Group, RunError> {
        let limits = GroupLimits {
            memory_max: order.grant.memory_max,
            cpu_quota: order.grant.cpu_quota.map(u64::from),
            cpus: leased.filter(|_| self.cpuset).cloned(),
            pids_max: order.grant.pids_max.map(u64::from),
        };
        self.group
            .instance(&order.spec.operator, order.spec.instance, &limits)
            .map_err(|error| RunError::Launcher { reason: error.to_string() })
    }
}

impl InstanceLauncher for Processes {
    fn instance(&self, order: InstanceSetup<'_>) -> Result<LaunchedInstance, RunError> {
        let leased: CpuSet = order.lanes.iter().flatten().flat_map(|cpus| cpus.iter().collect::<Vec<_>>()).collect();
        let leased = Some(leased).filter(|cpus| !cpus.is_empty());
        let kernel = Arc::new(KernelView::new(self.group(&order, leased.as_ref())?));
        let share = match order.grant.cpus {
            Cpus::Share(share) if order.grant.cpu_quota.is_none() => Some(share),
            _ => None,
        };
        // Without a cgroup, the process itself must refuse memory above its limit. Memory that it shares with
        // others is then not counted.
        let data_bytes = match order.grant.memory_max {
            Some(_) => None,
            None => {
                let lanes = self.lane_overhead.saturating_mul(u64::from(order.grant.lanes.saturating_sub(1)));
                order.grant.memory_cap.map(|cap| cap.saturating_add(self.overhead).saturating_add(lanes))
            }
        };
        let facts = order.loaded.facts();
        let (kind, ports) = (facts.kind, u32::try_from(facts.ports.len()).unwrap_or(0));
        let shape = facts.shape();
        let instance = Arc::new(Instance {
            template: WorkerSetup::template(&order, share, data_bytes),
            program: self.program.clone(),
            component: self.component(order.loaded)?,
            spawner: Arc::clone(&self.spawner),
            place: leased
                .map_or_else(|| Place::Shared(order.shared.clone()), |cpus| Place::Leased(cpus, order.leased.clone())),
            kernel: Arc::clone(&kernel),
            models: order.models.clone(),
            state: Mutex::new(State::default()),
        });
        self.instances.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(&instance));
        // The limit for the copies of all lanes together: the size limit of the state itself.
        let copies = Arc::new(MemoryBudget::new(order.spec.budget.cap()));
        let guest = |lane| {
            let guest = ProcessGuest::new(Arc::clone(&instance), lane, &order.spec, (kind, ports, shape), &copies);
            Box::new(guest) as Box<dyn LaneGuest>
        };
        Ok(LaunchedInstance { guests: (0..order.lanes.len()).map(guest).collect(), kernel: Some(kernel) })
    }

    fn abort(&self) {
        let instances = std::mem::take(&mut *self.instances.lock().unwrap_or_else(PoisonError::into_inner));
        instances.iter().filter_map(Weak::upgrade).for_each(|instance| instance.kill());
    }

    fn in_lane_threads(&self) -> bool {
        false
    }
}
