use std::fmt;

use serde::Serialize;

use super::amount::{bytes, counted};

/// How memory adds up where every instance has a process of its own: lanes and worker in the instance, instances in the
/// pipeline, pipelines in the tenant, tenants in the host. Each line is a bound below the next, unless `--overcommit` was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Arithmetic {
    /// Where the kernel's limits are, in the words of whoever found them.
    pub kernel: String,
    /// By operator.
    pub instances: Vec<InstanceArithmetic>,
    /// Bytes of the pipeline's control group beside its instances: for the kernel's own, and for a worker that has ended and is replaced before all
    /// of its memory is back. None where the kernel holds no memory.
    pub room: u64,
    /// Bytes of all instances and that room: where the kernel holds memory, the limit of the pipeline's control group.
    pub pipeline: u64,
    /// Bytes of `object_store_memory` of all instances, which lie in the host.
    pub edges: u64,
    /// Bytes that the host's copies of workers' keyed state can come to.
    pub copies: u64,
    /// Bytes of the pipeline, edges and copies: what it claims of the machine.
    pub claimed: u64,
    /// The tenant.
    pub tenant: String,
    /// Bytes that the tenant's other pipelines come to.
    pub tenant_held: u64,
    /// Bytes that the tenant may have; `None` sets no bound of its own.
    pub tenant_ceiling: Option<u64>,
    /// Bytes that other pipelines hold, of whatever tenant.
    pub host_held: u64,
    /// Bytes that the host gives away.
    pub host: u64,
}

/// One operator's instances, each for itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InstanceArithmetic {
    /// The operator.
    pub operator: String,
    /// How many.
    pub instances: u32,
    /// Lanes of one.
    pub lanes: u32,
    /// Bytes that its lanes may use together.
    pub lane_caps: u64,
    /// Bytes of the worker around them.
    pub overhead: u64,
    /// Bytes of the instance.
    pub memory: u64,
    /// Whether the kernel holds the whole worker to it.
    pub by_kernel: bool,
}

impl fmt::Display for Arithmetic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "memory of worker processes ({}):", self.kernel)?;
        for instance in &self.instances {
            writeln!(f, "  {instance}")?;
        }
        let (pipeline, edges, claimed) = (bytes(self.pipeline), bytes(self.edges), bytes(self.claimed));
        let instances = bytes(self.pipeline.saturating_sub(self.room));
        let room = match self.room {
            0 => String::new(),
            room => format!(" + the pipeline's own {}", bytes(room)),
        };
        writeln!(f, "  instances {instances}{room} = pipeline {pipeline}")?;
        let copies = match self.copies {
            0 => String::new(),
            copies => format!(" + the host's copies of keyed state {}", bytes(copies)),
        };
        writeln!(f, "  pipeline {pipeline} + edges {edges}{copies} = {claimed} claimed")?;
        let (tenant, others) = (&self.tenant, bytes(self.tenant_held));
        match self.tenant_ceiling {
            Some(ceiling) => {
                let sign = sign(self.claimed.saturating_add(self.tenant_held), ceiling);
                let ceiling = bytes(ceiling);
                writeln!(f, "  {claimed} claimed + its tenant's others {others} {sign} tenant {tenant:?} {ceiling}")?;
            }
            None => writeln!(f, "  tenant {tenant:?} has no ceiling, its others hold {others}")?,
        }
        let sign = sign(self.claimed.saturating_add(self.host_held), self.host);
        let (others, host) = (bytes(self.host_held), bytes(self.host));
        writeln!(f, "  {claimed} claimed + all others {others} {sign} host {host}")
    }
}

impl fmt::Display for InstanceArithmetic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { operator, instances, lanes, lane_caps, overhead, memory, by_kernel } = self;
        let sign = sign(lane_caps.saturating_add(*overhead), *memory);
        let (lanes, lane_caps, overhead) = (counted(*lanes, "lane"), bytes(*lane_caps), bytes(*overhead));
        write!(f, "{operator}: {lanes} {lane_caps} + worker {overhead} {sign} instance {}", bytes(*memory))?;
        if !by_kernel {
            f.write_str(" (not held by the kernel)")?;
        }
        if *instances > 1 {
            let together = memory.saturating_mul(u64::from(*instances));
            write!(f, ", {} {}", counted(*instances, "instance"), bytes(together))?;
        }
        Ok(())
    }
}

fn sign(sum: u64, bound: u64) -> &'static str {
    if sum <= bound { "≤" } else { ">" }
}
