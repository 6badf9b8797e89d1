use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{CpuSet, DeviceClaim, DeviceShare, HeldCpu, LeasePlace};

/// The resources that one run of a pipeline holds on the machine, written by the run itself. Admission of
/// other runs counts with it, so a claim is more than a name for messages, unlike a [`super::Holder`]. A
/// claim is still only an agreement between sage-hosts: a user who may write to the folder can claim any
/// amount.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// Number of the process, in its own PID namespace.
    pub pid: u32,
    /// The pipeline's name.
    pub pipeline: String,
    /// The tenant that the run belongs to.
    pub tenant: String,
    /// The amounts that admission counts.
    pub amounts: Amounts,
    /// The CPUs that the run leased. The leases themselves decide which CPUs are taken; this field assigns
    /// the CPUs to a tenant.
    pub cpus: CpuSet,
    /// The run's leases on devices.
    pub devices: Vec<DeviceClaim>,
    /// Lifetime of the device leases: they expire if the claim is not renewed ([`super::HeldClaim::beat`])
    /// for this long.
    pub lease_ttl: Duration,
}

/// The amounts of a run that can be counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amounts {
    /// Bytes of memory that the pipeline asks for.
    pub memory: u64,
    /// Bytes of memory including the caps of instances that ask for no memory: the most that the instances
    /// can use together.
    pub memory_at_most: u64,
    /// Fractions of CPUs, in 1/10,000.
    pub shares: u64,
    /// Whole CPUs that were requested and could not be leased (`--overcommit`).
    pub unleased: u32,
    /// Custom resources by name, in 1/10,000.
    pub custom: BTreeMap<String, u64>,
}

/// The resources that are held on a machine at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holdings {
    /// Leased CPUs, by number.
    pub cpus: Vec<HeldCpu>,
    /// Claims of running pipelines, by process. Unreadable claims are left out.
    pub claims: Vec<Claim>,
    /// Shares of devices, by device and lease: shares of running pipelines, and shares of ended pipelines
    /// whose device process still uses the device.
    pub devices: Vec<DeviceShare>,
    /// The place of these records; `None` if it was not looked up.
    pub place: Option<LeasePlace>,
}

impl Claim {
    /// A claim of this process.
    #[must_use]
    pub fn here(pipeline: &str, tenant: &str, amounts: Amounts, cpus: CpuSet) -> Self {
        let (pipeline, tenant) = (pipeline.to_owned(), tenant.to_owned());
        Self { pid: std::process::id(), pipeline, tenant, amounts, cpus, ..Self::default() }
    }

    /// The same claim with leases on devices, which must be renewed within `ttl`.
    #[must_use]
    pub fn with_devices(self, devices: Vec<DeviceClaim>, ttl: Duration) -> Self {
        Self { devices, lease_ttl: ttl, ..self }
    }

    /// All CPUs that count towards the tenant, in 1/10,000: leased CPUs, CPUs that were requested but not
    /// leased, and shares.
    #[must_use]
    pub fn cpus_of_tenant(&self) -> u64 {
        let whole = u64::from(self.cpus.count()) + u64::from(self.amounts.unleased);
        whole.saturating_mul(10_000).saturating_add(self.amounts.shares)
    }
}

/// Names the holder of the claim: `process 7 (pipeline "other", tenant "blue")`.
impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} (pipeline {:?}, tenant {:?})", self.pid, self.pipeline, self.tenant)
    }
}

impl Holdings {
    /// The sum of one amount over all claims.
    pub fn sum(&self, of: impl Fn(&Claim) -> u64) -> u64 {
        self.claims.iter().map(of).fold(0, u64::saturating_add)
    }
}
