use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::error::LockdownError;

/// What the kernel counts for a process. Memory as a whole is not among it: every linear memory reserves 4 GiB of address space, so
/// `RLIMIT_AS` would refuse what costs nothing; the cgroup counts what is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessLimits {
    /// Descriptors, those already open included (`RLIMIT_NOFILE`).
    pub open_files: u64,
    /// Bytes of a file that it writes, memory files included (`RLIMIT_FSIZE`); more kills it. wasmtime puts the data of a
    /// component that was not loaded from a file into one, which is never larger than the compiled component. `None` where
    /// folders are granted for writing.
    pub file_bytes: Option<u64>,
    /// Bytes of private writable memory (`RLIMIT_DATA`): heap, thread stacks, linear memories as far as they have grown. Shared memory does
    /// not count. More is refused, not killed.
    pub data_bytes: Option<u64>,
    /// Seconds of CPU time of all threads together (`RLIMIT_CPU`); more kills it.
    pub cpu_seconds: Option<u64>,
}

/// The main thread's stack; other threads have what they were made with.
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
