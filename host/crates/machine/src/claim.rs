use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{CpuSet, DeviceClaim, DeviceShare, HeldCpu, LeasePlace};

/// What one run of a pipeline holds of the machine, as it wrote itself down. Others count by it, so unlike a [`super::Holder`] it
/// is more than a name; it is an agreement between sage-hosts all the same, and whoever may write to the folder can claim what
/// it likes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The process, in its own PID namespace.
    pub pid: u32,
    /// The pipeline's name.
    pub pipeline: String,
    /// On whose behalf.
    pub tenant: String,
    /// What is counted.
    pub amounts: Amounts,
    /// The CPUs it leased. Which CPUs are taken is decided by the leases themselves; these say whose tenant they count to.
    pub cpus: CpuSet,
    /// Its leases on devices.
    pub devices: Vec<DeviceClaim>,
    /// These leases have expired when the claim was not renewed ([`super::HeldClaim::beat`]) for so long.
    pub lease_ttl: Duration,
}

/// What can be counted of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amounts {
    /// Bytes of memory: what the pipeline asks for.
    pub memory: u64,
    /// Bytes of memory with the caps of instances that ask for none: the most that its instances can come to.
    pub memory_at_most: u64,
    /// Fractions of CPUs, in 1/10,000.
    pub shares: u64,
    /// Whole CPUs that were asked for and could not be leased (`--overcommit`).
    pub unleased: u32,
    /// Custom resources by name, in 1/10,000.
    pub custom: BTreeMap<String, u64>,
}

/// What is held of a machine at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holdings {
    /// Leased CPUs, by number.
    pub cpus: Vec<HeldCpu>,
    /// What running pipelines claim, by process. One that cannot be read is not among them.
    pub claims: Vec<Claim>,
    /// Shares of devices, by device and lease: those of running pipelines, and those that a dead one's device has not let go of.
    pub devices: Vec<DeviceShare>,
    /// Where all of this stands; `None` where it was not looked up.
    pub place: Option<LeasePlace>,
}

impl Claim {
    /// A claim of this process.
    #[must_use]
    pub fn here(pipeline: &str, tenant: &str, amounts: Amounts, cpus: CpuSet) -> Self {
        let (pipeline, tenant) = (pipeline.to_owned(), tenant.to_owned());
        Self { pid: std::process::id(), pipeline, tenant, amounts, cpus, ..Self::default() }
    }

    /// The same with leases on devices, to be renewed within `ttl`.
    #[must_use]
    pub fn with_devices(self, devices: Vec<DeviceClaim>, ttl: Duration) -> Self {
        Self { devices, lease_ttl: ttl, ..self }
    }

    /// Everything of CPUs that counts towards its tenant, in 1/10,000: leased, asked for in vain, shares.
    #[must_use]
    pub fn cpus_of_tenant(&self) -> u64 {
        let whole = u64::from(self.cpus.count()) + u64::from(self.amounts.unleased);
        whole.saturating_mul(10_000).saturating_add(self.amounts.shares)
    }
}

/// Whose it is: `process 7 (pipeline "other", tenant "blue")`.
impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} (pipeline {:?}, tenant {:?})", self.pid, self.pipeline, self.tenant)
    }
}

impl Holdings {
    /// The sum of something over all claims.
    pub fn sum(&self, of: impl Fn(&Claim) -> u64) -> u64 {
        self.claims.iter().map(of).fold(0, u64::saturating_add)
    }
}
