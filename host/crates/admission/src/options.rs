use super::Isolation;
use sage_plan::config::TenantName;

/// On whose behalf and how a pipeline runs, and what the user lets through that would be refused otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// More than there is of what can be counted: CPUs, memory, custom resources; not devices, whose memory does not stretch. The ledger says what
    /// that costs. A tenant's ceiling is a promise to the other tenants and holds all the same.
    pub overcommit: bool,
    /// What nothing here can enforce. The ledger says "none" to it.
    pub allow_unenforced: bool,
    /// Nothing that holds less than hard: not at the start, and not later.
    pub strict: bool,
    /// Where instances live.
    pub isolation: Isolation,
    /// On whose behalf.
    pub tenant: TenantName,
}
