use std::fmt;

use serde::Serialize;

use super::amount::counted;
use sage_text::short_size;

/// The sum of memory when every instance has a process of its own. Lanes and worker add up to the instance,
/// instances to the pipeline, pipelines to the tenant, and tenants to the host. Each line is a bound below
/// the next, unless the run was started with `--overcommit`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Arithmetic {
    /// The place of the kernel's limits, in the words of the code that found them.
    pub kernel: String,
    /// An entry for each operator.
    pub instances: Vec<InstanceArithmetic>,
    /// Bytes that the pipeline's control group has beside its instances: for the kernel's own memory, and for
    /// a worker that has ended and is replaced before all of its memory is returned. 0 if the kernel does not
    /// limit memory.
    pub room: u64,
    /// Bytes of all instances and of `room`. If the kernel limits memory, this is the limit of the pipeline's
    /// control group, which is larger if the host process is in the group.
    pub pipeline: u64,
    /// Bytes of `object_store_memory` of all instances. This memory is in the host process.
    pub edges: u64,
    /// Upper bound, in bytes, of the host's copies of the workers' keyed state.
    pub copies: u64,
    /// Bytes of the host process itself, if it runs this pipeline only.
    #[serde(skip_serializing_if = "is_zero")]
    pub host_process: u64,
    /// Bytes that the pipeline claims of the machine: pipeline, edges, copies and host process.
    pub claimed: u64,
    /// Name of the tenant.
    pub tenant: String,
    /// Bytes that the tenant's other pipelines claim.
    pub tenant_held: u64,
    /// Bytes that the tenant may have; `None` if the tenant has no ceiling.
    pub tenant_ceiling: Option<u64>,
    /// Bytes that other pipelines of all tenants hold.
    pub host_held: u64,
    /// Bytes that the host gives to pipelines.
    pub host: u64,
}

/// The memory of one operator's instances. All amounts are for one instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InstanceArithmetic {
    /// Name of the operator.
    pub operator: String,
    /// Number of instances.
    pub instances: u32,
    /// Lanes of one instance.
    pub lanes: u32,
    /// Bytes that the lanes of one instance may use together.
    pub lane_caps: u64,
    /// Bytes of the worker process around the lanes.
    pub overhead: u64,
    /// Bytes of one instance.
    pub memory: u64,
    /// True if the kernel limits the whole worker to `memory`.
    pub by_kernel: bool,
}

impl fmt::Display for Arithmetic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "memory of worker processes ({}):", self.kernel)?;
        for instance in &self.instances {
            writeln!(f, "  {instance}")?;
        }
        let (pipeline, edges, claimed) = (short_size(self.pipeline), short_size(self.edges), short_size(self.claimed));
        let instances = short_size(self.pipeline.saturating_sub(self.room));
        let room = match self.room {
            0 => String::new(),
            room => format!(" + the pipeline's own {}", short_size(room)),
        };
        writeln!(f, "  instances {instances}{room} = pipeline {pipeline}")?;
        let copies = match self.copies {
            0 => String::new(),
            copies => format!(" + the host's copies of keyed state {}", short_size(copies)),
        };
        let host_process = match self.host_process {
            0 => String::new(),
            bytes => format!(" + the process of the job {}", short_size(bytes)),
        };
        writeln!(f, "  pipeline {pipeline} + edges {edges}{copies}{host_process} = {claimed} claimed")?;
        let (tenant, others) = (&self.tenant, short_size(self.tenant_held));
        match self.tenant_ceiling {
            Some(ceiling) => {
                let sign = sign(self.claimed.saturating_add(self.tenant_held), ceiling);
                let ceiling = short_size(ceiling);
                writeln!(f, "  {claimed} claimed + its tenant's others {others} {sign} tenant {tenant:?} {ceiling}")?;
            }
            None => writeln!(f, "  tenant {tenant:?} has no ceiling, its others hold {others}")?,
        }
        let sign = sign(self.claimed.saturating_add(self.host_held), self.host);
        let (others, host) = (short_size(self.host_held), short_size(self.host));
        writeln!(f, "  {claimed} claimed + all others {others} {sign} host {host}")
    }
}

impl fmt::Display for InstanceArithmetic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { operator, instances, lanes, lane_caps, overhead, memory, by_kernel } = self;
        let sign = sign(lane_caps.saturating_add(*overhead), *memory);
        let (lanes, lane_caps, overhead) = (counted(*lanes, "lane"), short_size(*lane_caps), short_size(*overhead));
        write!(f, "{operator}: {lanes} {lane_caps} + worker {overhead} {sign} instance {}", short_size(*memory))?;
        if !by_kernel {
            f.write_str(" (not held by the kernel)")?;
        }
        if *instances > 1 {
            let together = memory.saturating_mul(u64::from(*instances));
            write!(f, ", {} {}", counted(*instances, "instance"), short_size(together))?;
        }
        Ok(())
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde requires this signature")]
fn is_zero(bytes: &u64) -> bool {
    *bytes == 0
}

fn sign(sum: u64, bound: u64) -> &'static str {
    if sum <= bound { "≤" } else { ">" }
}
