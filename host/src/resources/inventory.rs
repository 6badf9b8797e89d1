use std::collections::BTreeMap;
use std::path::Path;

use super::memory_limits::memory_of_this_process;
use super::{CpuSet, ResourceError};

/// What this process can have of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inventory {
    /// CPUs it may run on.
    pub allowed: CpuSet,
    /// Bytes of memory: the machine's, or the tightest cgroup limit above this process. Not what is free now.
    pub memory: u64,
}

impl Inventory {
    /// Asks the machine. Once at the start and before threads are pinned: CPUs are read off the main thread.
    ///
    /// # Errors
    /// When the kernel does not say.
    pub fn detect() -> Result<Self, ResourceError> {
        Ok(Self { allowed: CpuSet::allowed()?, memory: memory_of_this_process(Path::new("/"))? })
    }
}

/// What the host's settings (host.toml) say of the machine: what to keep, and what there is that nobody can detect.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Supply {
    /// CPUs that are never leased, so that sources, sinks, the host and lanes without a lease have somewhere to run. `None`
    /// keeps one where the process may use more than one.
    pub cpus_reserved: Option<u32>,
    /// Bytes of memory that operators do not get: for the host itself and its neighbours.
    pub memory_reserved: u64,
    /// Custom resources that instances can ask for, by name, in 1/10,000.
    pub custom: BTreeMap<String, u64>,
}

impl Supply {
    /// How many of the machine's CPUs are never leased.
    #[must_use]
    pub fn cpus_kept(&self, inventory: &Inventory) -> u32 {
        self.cpus_reserved.unwrap_or_else(|| u32::from(inventory.allowed.count() > 1))
    }

    /// Bytes of memory that operators can have together.
    #[must_use]
    pub fn memory_given(&self, inventory: &Inventory) -> u64 {
        inventory.memory.saturating_sub(self.memory_reserved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_cpu_is_kept_unless_it_is_the_only_one_or_the_settings_say_otherwise() {
        for (cpus, reserved, kept) in [(1, None, 0), (2, None, 1), (64, None, 1), (4, Some(0), 0), (4, Some(3), 3)] {
            let inventory = Inventory { allowed: (0..cpus).collect(), memory: 0 };
            let supply = Supply { cpus_reserved: reserved, ..Supply::default() };
            assert_eq!(supply.cpus_kept(&inventory), kept);
        }
    }

    #[test]
    fn this_machine_has_cpus_and_memory() {
        let inventory = Inventory::detect().unwrap();
        assert!(!inventory.allowed.is_empty());
        assert!(inventory.memory > 64 << 20, "{} bytes", inventory.memory);
    }
}
