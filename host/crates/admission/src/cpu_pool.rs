use sage_machine::cgroup::LimitAbove;
use sage_machine::{CpuSet, HeldCpu, Holdings, Inventory, Supply};

/// The CPUs that can be given away.
pub(super) struct CpuPool<'t> {
    pub(super) allowed: CpuSet,
    /// Leased CPUs among the allowed ones.
    pub(super) held: Vec<HeldCpu>,
    pub(super) reserved: u32,
    /// Number of further CPUs that the process may use.
    pub(super) not_given: u32,
    /// CPU time that the control groups above give.
    pub(super) quota: Option<&'t LimitAbove>,
    /// Number of CPUs that the process may use, given away or not.
    pub(super) usable: u32,
    pub(super) taken: &'t Holdings,
}

impl<'t> CpuPool<'t> {
    /// The pool of an inventory, on a machine where the process may use `usable` CPUs.
    pub(super) fn new(given: &'t Inventory, usable: u32, supply: &Supply, taken: &'t Holdings) -> Self {
        let allowed = given.allowed.clone();
        let held = taken.cpus.iter().filter(|held| allowed.contains(held.cpu)).cloned().collect();
        let not_given = usable.saturating_sub(allowed.count());
        let quota = given.quota.as_ref();
        Self { allowed, held, reserved: supply.cpus_kept(given), not_given, quota, usable, taken }
    }

    /// Number of allowed CPUs without a lease.
    pub(super) fn unheld(&self) -> u32 {
        self.allowed.count().saturating_sub(u32::try_from(self.held.len()).unwrap_or(u32::MAX))
    }
}
