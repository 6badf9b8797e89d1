use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::error::LockdownError;

/// The resources that the kernel limits for each process. Total memory is not among them: every linear memory
/// reserves 4 GiB of address space, so `RLIMIT_AS` would refuse address space that costs nothing. The cgroup
/// counts the memory in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessLimits {
    /// Maximum number of open descriptors, including those already open (`RLIMIT_NOFILE`).
    pub open_files: u64,
    /// Maximum bytes of a file that the process writes, including memory files (`RLIMIT_FSIZE`). A larger write
    /// kills the process. For a component that was not loaded from a file, wasmtime writes the data into a
    /// memory file, which is never larger than the compiled component. `None` if folders are granted for
    /// writing.
    pub file_bytes: Option<u64>,
    /// Maximum bytes of private writable memory (`RLIMIT_DATA`): heap, thread stacks, and linear memories at
    /// their current size. Shared memory does not count. A larger allocation is refused; the process is not
    /// killed.
    pub data_bytes: Option<u64>,
    /// Maximum CPU seconds of all threads together (`RLIMIT_CPU`). The kernel kills the process above it.
    pub cpu_seconds: Option<u64>,
}

/// Stack bytes of the main thread. Other threads have the stack size that they were created with.
const STACK: u64 = 8 << 20;

impl ProcessLimits {
    /// Lowers the limits of this process, hard and soft.
    ///
    /// # Errors
    /// The kernel refuses one.
    pub fn impose(&self) -> Result<(), LockdownError> {
        for (resource, limit) in self.all() {
            let found = getrlimit(resource);
            // A limit can only be lowered.
            let limit = found.maximum.map_or(limit, |maximum| maximum.min(limit));
            let lowered = Rlimit { current: Some(limit), maximum: Some(limit) };
            setrlimit(resource, lowered).map_err(LockdownError::step("lower a resource limit"))?;
            if getrlimit(resource) != lowered {
                return Err(LockdownError::NotHolding {
                    what: format!("has another limit than {limit} of {resource:?}"),
                });
            }
        }
        Ok(())
    }

    fn all(&self) -> impl Iterator<Item = (Resource, u64)> {
        let asked = [
            (Resource::Nofile, Some(self.open_files)),
            (Resource::Fsize, self.file_bytes),
            (Resource::Data, self.data_bytes),
            (Resource::Cpu, self.cpu_seconds),
        ];
        let always = [
            (Resource::Core, 0),
            (Resource::Memlock, 0),
            (Resource::Msgqueue, 0),
            (Resource::Rtprio, 0),
            (Resource::Nice, 0),
            (Resource::Stack, STACK),
        ];
        asked.into_iter().filter_map(|(resource, limit)| limit.map(|limit| (resource, limit))).chain(always)
    }
}
