use super::Isolation;
use sage_plan::config::TenantName;

/// The options of an admission: the tenant, the isolation, and the refusals that the user waives.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// Whether countable resources (CPUs, memory, custom resources) may be promised beyond their amount. Devices
    /// are excepted, because their memory does not stretch. The enforcement report shows the effect. A tenant's
    /// ceiling holds in any case, because it is a promise to the other tenants.
    pub overcommit: bool,
    /// Whether resources without any enforcement are accepted. The enforcement report shows them as "none".
    pub allow_unenforced: bool,
    /// Whether only hard limits are accepted, at the start and later.
    pub strict: bool,
    /// Isolation of the instances.
    pub isolation: Isolation,
    /// Tenant of the pipeline.
    pub tenant: TenantName,
    /// Bytes that the pipeline claims for the host process itself. More than 0 if that process runs this pipeline only,
    /// and is in the control group of the pipeline if there is one.
    pub host_process: u64,
}
