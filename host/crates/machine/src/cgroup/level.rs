/// The level of a group in `<slice>/<tenant>/<pipeline>/<operator>-<n>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// A tenant. Shared by all runs of the tenant, on any sage-host.
    Tenant,
    /// One run of a pipeline. Held exclusively by its supervisor.
    Pipeline,
    /// One worker.
    Instance,
}
