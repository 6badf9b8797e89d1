use super::super::CpuSet;
use super::{CgroupError, Controller};

/// What a group and everything in it is held to. `None` sets nothing: a new group then has no limit of its own (those above
/// it hold), one that was there keeps what it has.
///
/// Does not bound time to completion, disk or network; memory counts what the kernel charges to the group, which for a file
/// that several groups read is whoever read it first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GroupLimits {
    /// Bytes, rounded down to whole pages; nothing of it goes to swap.
    pub memory_max: Option<u64>,
    /// CPU time in 1/10,000 of a CPU; at least [`GroupLimits::LEAST_CPU_QUOTA`].
    pub cpu_quota: Option<u64>,
    /// On which CPUs; some of the ones that the group above has.
    pub cpus: Option<CpuSet>,
    /// Processes and threads together.
    pub pids_max: Option<u64>,
}

impl GroupLimits {
    /// The least quota the kernel counts: 1 ms in a period of a second.
    pub const LEAST_CPU_QUOTA: u64 = 10;

    /// Which controllers these need.
    pub(super) fn controllers(&self) -> impl Iterator<Item = Controller> {
        let asked = [
            (Controller::Memory, self.memory_max.is_some()),
            (Controller::Cpu, self.cpu_quota.is_some()),
            (Controller::Cpuset, self.cpus.is_some()),
            (Controller::Pids, self.pids_max.is_some()),
        ];
        asked.into_iter().filter_map(|(controller, asked)| asked.then_some(controller))
    }
}

/// CPU time in the kernel's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Quota {
    /// Microseconds in each period.
    pub(super) quota: u64,
    /// Microseconds.
    pub(super) period: u64,
}

impl Quota {
    /// A short period keeps the stretch short in which a group that used up its share stands still: 20 ms where the share is at least
    /// the kernel's least of 1 ms in it (0.05 CPUs), longer below.
    const PERIODS: [u64; 3] = [20_000, 100_000, 1_000_000];
    const LEAST: u64 = 1_000;

    pub(super) fn new(ten_thousandths: u64) -> Result<Self, CgroupError> {
        Self::PERIODS
            .into_iter()
            .map(|period| Self { quota: ten_thousandths.saturating_mul(period / 10_000), period })
            .find(|quota| quota.quota >= Self::LEAST)
            .ok_or(CgroupError::QuotaTooSmall { wanted: ten_thousandths, least: GroupLimits::LEAST_CPU_QUOTA })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_exact_and_its_period_as_short_as_the_kernel_lets_it_be() {
        for (share, quota, period) in [
            (10, 1_000, 1_000_000),
            (99, 9_900, 1_000_000),
            (100, 1_000, 100_000),
            (500, 1_000, 20_000),
            (2_500, 5_000, 20_000),
            (10_000, 20_000, 20_000),
            (960_000, 1_920_000, 20_000),
        ] {
            assert_eq!(Quota::new(share).unwrap(), Quota { quota, period });
        }
    }

    #[test]
    fn a_quota_that_the_kernel_cannot_count_is_refused_and_not_rounded_up() {
        for share in [0, 1, 9] {
            assert!(matches!(Quota::new(share), Err(CgroupError::QuotaTooSmall { wanted, .. }) if wanted == share));
        }
    }
}
