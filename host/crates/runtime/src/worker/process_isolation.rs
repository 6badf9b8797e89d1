use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use super::processes::Processes;
use crate::engine::{InstanceLauncher, Launcher, RunContext, RunError, with_causes};
use sage_admission::{Isolation, KernelLimits, WorkerBounds};
use sage_machine::cgroup::{Cgroups, GroupLimits};
use sage_machine::raise_open_files;
use sage_plan::config::HostSettings;
use sage_process::Spawner;

/// Gives each instance its own worker process, in its own cgroup if the kernel has cgroups.
#[derive(Debug)]
pub struct ProcessIsolation {
    program: PathBuf,
    cgroups: OnceLock<Cgroups>,
}

impl ProcessIsolation {
    /// Makes the launcher. Workers are started as `program worker`, which must call [`super::serve`]. For
    /// `sage-host` itself, `program` is `/proc/self/exe`.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self { program: program.into(), cgroups: OnceLock::new() }
    }
}

/// Bytes of a worker in addition to its guests' memory. The kernel's own count is 2 to 3 MiB with batches of
/// 64 KiB, and 4 MiB with records of 1 MB. The rest is room for larger batches and answers, which are held twice.
const OVERHEAD: u64 = 16 << 20;
/// Additional bytes of each lane after the first: 1 MiB of answers in flight, a batch and an answer of its own,
/// and its stack.
const LANE_OVERHEAD: u64 = 2 << 20;
/// Threads of a worker in addition to its lanes and the threads that read files for them: the main thread, the
/// clock thread, and a reserve.
const OTHER_THREADS: u32 = 14;

impl ProcessIsolation {
    pub(super) fn program(&self) -> &Path {
        &self.program
    }

    pub(super) fn cgroups(&self, settings: &HostSettings) -> &Cgroups {
        self.cgroups.get_or_init(|| {
            let cgroups = Cgroups::detect(Some(&settings.slice));
            match cgroups.sweep() {
                Ok(swept) => tracing::debug!(?swept, "swept leftovers of dead runs"),
                Err(error) => tracing::warn!(%error, "leftovers of dead runs could not be removed"),
            }
            cgroups
        })
    }
}

impl Launcher for ProcessIsolation {
    fn bounds(&self, settings: &HostSettings) -> Isolation {
        let cgroups = self.cgroups(settings);
        let controls = cgroups.controls();
        let place = match cgroups.slices().first() {
            Some(slice) => format!("{} at {}", cgroups.composition(), slice.display()),
            None => "no control groups".to_owned(),
        };
        Isolation::Process(WorkerBounds {
            kernel: KernelLimits {
                memory: controls.memory.available,
                cpu_quota: controls.cpu.available,
                cpuset: controls.cpuset.available,
                pids: controls.pids.available,
                syscall_filter: true,
                place,
            },
            overhead: OVERHEAD,
            lane_overhead: LANE_OVERHEAD,
            threads: OTHER_THREADS,
        })
    }

    fn begin(&self, run: RunContext<'_>) -> Result<Arc<dyn InstanceLauncher>, RunError> {
        let cgroups = self.cgroups(run.settings);
        let controls = cgroups.controls();
        let ceiling = run.settings.tenants.get(run.tenant);
        let tenant = GroupLimits {
            memory_max: ceiling.and_then(|ceiling| ceiling.memory).filter(|_| controls.memory.available),
            cpu_quota: ceiling.and_then(|ceiling| ceiling.cpus).filter(|_| controls.cpu.available),
            ..GroupLimits::default()
        };
        let pipeline = GroupLimits { memory_max: run.grant.memory_max, ..GroupLimits::default() };
        let failed = |error: &dyn std::error::Error| RunError::Launcher { reason: with_causes(error) };
        let group = cgroups
            .tenant(run.tenant.as_str(), &tenant)
            .and_then(|tenant| tenant.pipeline(run.job.unwrap_or(run.pipeline), &pipeline))
            .map_err(|error| failed(&error))?;
        let host = run.job.map(|_| group.seat_host()).transpose().map_err(|error| failed(&error))?;
        raise_open_files();
        let spawner = Spawner::start().map_err(|error| failed(&error))?;
        Ok(Arc::new(Processes {
            _host: host,
            program: self.program.clone(),
            spawner: Arc::new(spawner),
            group,
            cpuset: controls.cpuset.available,
            overhead: OVERHEAD,
            lane_overhead: LANE_OVERHEAD,
            components: Mutex::new(HashMap::new()),
            instances: Mutex::new(Vec::new()),
        }))
    }
}
