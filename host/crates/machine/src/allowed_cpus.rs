use rustix::process::getpid;
use rustix::thread::sched_getaffinity;

use super::{CpuSet, ResourceError};

impl CpuSet {
    /// The CPUs on which this process may run: the affinity of its main thread, which may be smaller than the
    /// machine (taskset, a container's cpuset). This set does not bound CPU time: a cgroup quota may give
    /// less.
    ///
    /// # Errors
    /// [`ResourceError::ReadAffinity`] if the kernel gives no answer, for example on machines with more than
    /// 1024 CPUs.
    pub fn allowed() -> Result<Self, ResourceError> {
        let set = sched_getaffinity(Some(getpid())).map_err(ResourceError::ReadAffinity)?;
        Ok(Self::from_kernel(&set))
    }
}
