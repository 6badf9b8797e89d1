use std::collections::BTreeMap;
use std::path::Path;

use super::cgroup::{Above, LimitAbove};
use super::meminfo::memory_of_the_machine;
use super::{CpuSet, ResourceError};
use sage_plan::config::{GivenCpus, TenantCeiling, TenantName};

/// The part of the machine that this process can use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    /// CPUs on which the process may run.
    pub allowed: CpuSet,
    /// Bytes of memory: of the machine, or the tightest cgroup limit above this process. Not the memory that
    /// is free now.
    pub memory: u64,
    /// CPU time, in 1/10,000 of a CPU, by the tightest quota of a cgroup above this process; `None` if there
    /// is no quota.
    pub quota: Option<LimitAbove>,
}

impl Inventory {
    /// Reads the machine's resources. The CPUs are read from the main thread, which is never pinned. `slice`
    /// names the parent of the workers' control groups if instances are to be workers; the limits of the
    /// groups above it count too.
    ///
    /// # Errors
    /// If the kernel does not report the CPUs or the memory.
    pub fn detect(slice: Option<&str>) -> Result<Self, ResourceError> {
        let root = Path::new("/");
        let Above { memory: limit, cpu: quota } = Above::read(root, slice);
        let of_the_machine = memory_of_the_machine(root)?;
        let memory = limit.map_or(of_the_machine, |limit| limit.amount.min(of_the_machine));
        Ok(Self { allowed: CpuSet::allowed()?, memory, quota })
    }
}

/// The machine's supply by the host's settings (host.toml): the resources to give away and their users, the
/// reserved resources, and resources that cannot be detected.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Supply {
    /// Number of CPUs that are never leased, so that sources, sinks, the host and lanes without a lease have
    /// a place to run. `None` reserves one CPU if the process may use more than one.
    pub cpus_reserved: Option<u32>,
    /// Bytes of memory that operators do not get. They are for the host itself and other programs.
    pub memory_reserved: u64,
    /// Custom resources that instances can ask for, by name, in 1/10,000.
    pub custom: BTreeMap<String, u64>,
    /// The CPUs to give away, among those that this process may use.
    pub cpus: GivenCpus,
    /// Upper bound of the memory to give away, in bytes.
    pub memory: Option<u64>,
    /// The tenants that may run pipelines, with a ceiling for each. If the map is empty, any tenant may run
    /// without a bound.
    pub tenants: BTreeMap<TenantName, TenantCeiling>,
    /// Bytes of the model files, by model name. The weights take this much of a device's memory.
    pub model_bytes: BTreeMap<String, u64>,
}

/// An error: the settings give away CPUs that this process may not use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotHere {
    /// The CPUs that the settings give away, as text for people.
    pub given: String,
    /// The CPUs that the process may use.
    pub usable: CpuSet,
}

impl Supply {
    /// The number of CPUs that are never leased.
    #[must_use]
    pub fn cpus_kept(&self, inventory: &Inventory) -> u32 {
        self.cpus_reserved.unwrap_or_else(|| u32::from(inventory.allowed.count() > 1))
    }

    /// Bytes of memory that operators can have together.
    #[must_use]
    pub fn memory_given(&self, inventory: &Inventory) -> u64 {
        let not_kept = inventory.memory.saturating_sub(self.memory_reserved);
        self.memory.map_or(not_kept, |most| not_kept.min(most))
    }

    /// The part of the inventory to give away: the named CPUs, or for a count the CPUs with the highest
    /// numbers, which are also leased first.
    ///
    /// # Errors
    /// [`NotHere`] if this process may not use all of these CPUs.
    pub fn given(&self, inventory: &Inventory) -> Result<Inventory, NotHere> {
        let usable = &inventory.allowed;
        let not_here = |given: String| NotHere { given, usable: usable.clone() };
        let allowed = match &self.cpus {
            GivenCpus::All => usable.clone(),
            GivenCpus::Count(count) if *count > usable.count() => {
                return Err(not_here(super::counted(*count, "CPU")));
            }
            GivenCpus::Count(count) => {
                usable.iter().rev().take(usize::try_from(*count).unwrap_or(usize::MAX)).collect()
            }
            GivenCpus::These(cpus) => {
                let given: CpuSet = cpus.iter().copied().collect();
                if !given.without(usable).is_empty() {
                    let s = if given.count() == 1 { "" } else { "s" };
                    return Err(not_here(format!("CPU{s} {given}")));
                }
                given
            }
        };
        Ok(Inventory { allowed, ..inventory.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_cpu_is_kept_unless_it_is_the_only_one_or_the_settings_say_otherwise() {
        for (cpus, reserved, kept) in [(1, None, 0), (2, None, 1), (64, None, 1), (4, Some(0), 0), (4, Some(3), 3)] {
            let inventory = Inventory { allowed: (0..cpus).collect(), ..Inventory::default() };
            let supply = Supply { cpus_reserved: reserved, ..Supply::default() };
            assert_eq!(supply.cpus_kept(&inventory), kept);
        }
    }

    #[test]
    fn what_is_given_away_is_part_of_what_is_there() {
        let inventory = Inventory { allowed: [0, 1, 2, 3, 6].into_iter().collect(), memory: 8 << 30, quota: None };
        let given = |cpus| Supply { cpus, ..Supply::default() }.given(&inventory);
        let these = |cpus: &[u32]| GivenCpus::These(cpus.iter().copied().collect());
        for (cpus, shown) in [
            (GivenCpus::All, "0-3,6"),
            (GivenCpus::Count(2), "3,6"),
            (GivenCpus::Count(5), "0-3,6"),
            (these(&[1]), "1"),
        ] {
            assert_eq!(given(cpus).unwrap().allowed.to_string(), shown);
        }
        for (cpus, shown) in
            [(GivenCpus::Count(6), "6 CPUs"), (these(&[4]), "CPU 4"), (these(&[0, 1, 2, 3, 4]), "CPUs 0-4")]
        {
            assert_eq!(given(cpus).unwrap_err().given, shown);
        }
        for (memory, given) in [(None, 7 << 30), (Some(2 << 30), 2 << 30), (Some(9 << 30), 7 << 30)] {
            let supply = Supply { memory, memory_reserved: 1 << 30, ..Supply::default() };
            assert_eq!(supply.memory_given(&inventory), given);
        }
    }

    #[test]
    fn this_machine_has_cpus_and_memory() {
        let inventory = Inventory::detect(None).unwrap();
        assert!(!inventory.allowed.is_empty());
        assert!(inventory.memory > 64 << 20, "{} bytes", inventory.memory);
    }
}
