use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A set of CPU numbers in rising order, numbered as by the kernel. Displayed as `0-3,5`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct CpuSet(BTreeSet<u32>);

impl CpuSet {
    /// The number of CPUs in the set.
    #[must_use]
    pub fn count(&self) -> u32 {
        // At most 1024, the size of the kernel's own set.
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }

    /// True if the set is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// True if the set contains this CPU.
    #[must_use]
    pub fn contains(&self, cpu: u32) -> bool {
        self.0.contains(&cpu)
    }

    /// The CPU numbers in rising order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = u32> + '_ {
        self.0.iter().copied()
    }

    /// The CPUs of this set that are not in `other`.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        Self(self.0.difference(&other.0).copied().collect())
    }

    /// The CPUs that are in both sets.
    #[must_use]
    pub fn both(&self, other: &Self) -> Self {
        Self(self.0.intersection(&other.0).copied().collect())
    }

    /// Adds one CPU.
    pub fn insert(&mut self, cpu: u32) {
        self.0.insert(cpu);
    }

    pub(super) fn from_kernel(set: &rustix::thread::CpuSet) -> Self {
        let known = (0..rustix::thread::CpuSet::MAX_CPU).filter(|&cpu| set.is_set(cpu));
        known.filter_map(|cpu| u32::try_from(cpu).ok()).collect()
    }

    /// The set in the kernel's form. Numbers beyond the kernel's set are left out; code that pins a thread
    /// notices this when it reads the affinity back.
    pub fn to_kernel(&self) -> rustix::thread::CpuSet {
        let mut set = rustix::thread::CpuSet::new();
        for cpu in self.iter().filter_map(|cpu| usize::try_from(cpu).ok()) {
            if cpu < rustix::thread::CpuSet::MAX_CPU {
                set.set(cpu);
            }
        }
        set
    }
}

impl FromIterator<u32> for CpuSet {
    fn from_iter<I: IntoIterator<Item = u32>>(cpus: I) -> Self {
        Self(cpus.into_iter().collect())
    }
}

impl fmt::Display for CpuSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.iter().peekable();
        if rest.peek().is_none() {
            return f.write_str("none");
        }
        let mut separator = "";
        while let Some(first) = rest.next() {
            let mut last = first;
            while rest.next_if_eq(&last.saturating_add(1)).is_some() {
                last += 1;
            }
            match last - first {
                0 => write!(f, "{separator}{first}")?,
                _ => write!(f, "{separator}{first}-{last}")?,
            }
            separator = ",";
        }
        Ok(())
    }
}

impl Serialize for CpuSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for CpuSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        BTreeSet::deserialize(deserializer).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_shown_as_ranges() {
        for (cpus, shown) in [
            (&[][..], "none"),
            (&[0], "0"),
            (&[3, 1, 0, 2, 5], "0-3,5"),
            (&[0, 2, 4], "0,2,4"),
            (&[0, 1, 8, 9, 10], "0-1,8-10"),
        ] {
            assert_eq!(cpus.iter().copied().collect::<CpuSet>().to_string(), shown);
        }
    }

    #[test]
    fn the_kernels_form_holds_the_same_cpus_and_nothing_it_has_no_place_for() {
        let set: CpuSet = [0, 63, 64, 1023].into_iter().collect();
        assert_eq!(CpuSet::from_kernel(&set.to_kernel()), set);
        let beyond: CpuSet = [1, 5000].into_iter().collect();
        assert_eq!(CpuSet::from_kernel(&beyond.to_kernel()), [1].into_iter().collect());
    }

    #[test]
    fn this_process_may_run_somewhere() {
        assert!(!CpuSet::allowed().unwrap().is_empty());
    }
}
