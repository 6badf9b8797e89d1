use super::super::CpuSet;

/// Parses a set of CPUs in the kernel's form: `0-3,5`, empty for no CPUs. `None` for any other text.
pub(super) fn parse(list: &str) -> Option<CpuSet> {
    /// More CPUs than any kernel supports. A list beyond this is not a list of CPUs.
    const MOST: u32 = 1 << 16;
    let mut cpus = CpuSet::default();
    for range in list.trim().split(',').filter(|range| !range.is_empty()) {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last) = (first.parse::<u32>().ok()?, last.parse::<u32>().ok()?);
        if last < first || last > MOST {
            return None;
        }
        (first..=last).for_each(|cpu| cpus.insert(cpu));
    }
    Some(cpus)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_set_shows_is_read_back() {
        for list in ["0", "0-3,5", "0,2,4", "0-1,8-10"] {
            assert_eq!(parse(list).unwrap().to_string(), list);
        }
        assert!(parse("").unwrap().is_empty());
    }

    #[test]
    fn what_is_no_list_is_none() {
        for list in ["all", "3-1", "0-", "-1", "0-4294967295", "1 2"] {
            assert_eq!(parse(list), None, "{list:?}");
        }
    }
}
