use super::super::CpuSet;
use super::{CgroupError, Controller};

/// Limits of a group and all its contents. `None` sets nothing: a new group then has no limit of its own
/// (limits above it apply), and an existing group keeps its limit.
///
/// Time to completion, disk and network are not bounded. Memory counts the pages that the kernel charges to
/// the group; a file that several groups read is charged to the first reader.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GroupLimits {
    /// Bytes of memory, rounded down to whole pages. No part of it goes to swap.
    pub memory_max: Option<u64>,
    /// CPU time in 1/10,000 of a CPU; at least [`GroupLimits::LEAST_CPU_QUOTA`].
    pub cpu_quota: Option<u64>,
    /// The CPUs to run on: a part of those that the group above has.
    pub cpus: Option<CpuSet>,
    /// Number of processes and threads together.
    pub pids_max: Option<u64>,
}

impl GroupLimits {
    /// The smallest quota that the kernel counts: 1 ms in a period of a second.
    pub const LEAST_CPU_QUOTA: u64 = 10;

    /// The controllers that these limits need.
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

/// CPU time in the kernel's terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Quota {
    /// Microseconds in each period.
    pub(super) quota: u64,
    /// Microseconds.
    pub(super) period: u64,
}

impl Quota {
    /// Possible periods, in microseconds. A short period keeps the pauses of a throttled group short: 20 ms
    /// if the share in it is at least the kernel's minimum of 1 ms (0.05 CPUs), longer below.
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
