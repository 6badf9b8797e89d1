use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// CPUs on which each thread of a process may run, by thread name and id, from /proc.
pub fn thread_cpus(process: u32) -> BTreeMap<(String, u32), BTreeSet<u32>> {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{process}/task")) else { return BTreeMap::new() };
    tasks
        .filter_map(|task| {
            let folder = task.ok()?.path();
            let id = folder.file_name()?.to_str()?.parse().ok()?;
            let name = std::fs::read_to_string(folder.join("comm")).ok()?.trim().to_owned();
            let status = std::fs::read_to_string(folder.join("status")).ok()?;
            let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
            Some(((name, id), cpu_list(list)))
        })
        .collect()
}

/// CPUs that this process may use.
pub fn allowed_cpus() -> BTreeSet<u32> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    cpu_list(status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap())
}

/// CPU times of a thread.
#[derive(Debug, Clone, Copy)]
pub struct ThreadTimes {
    /// Time on a CPU.
    pub used: Duration,
    /// Time in which the thread was ready but no CPU was free.
    pub waited: Duration,
}

/// CPU times of a thread in nanoseconds, from its schedstat; `None` after its end.
pub fn thread_times(process: u32, thread: u32) -> Option<ThreadTimes> {
    let text = std::fs::read_to_string(format!("/proc/{process}/task/{thread}/schedstat")).ok()?;
    let mut numbers = text.split_whitespace().map_while(|number| number.parse().ok()).map(Duration::from_nanos);
    Some(ThreadTimes { used: numbers.next()?, waited: numbers.next()? })
}

/// Resident memory of a process in bytes; `None` after its end (also for a zombie).
pub fn resident_bytes(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<u64>().ok()? * 1024)
}

fn cpu_list(list: &str) -> BTreeSet<u32> {
    let parts = list.trim().split(',').filter(|part| !part.is_empty());
    parts
        .flat_map(|part| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            first.parse::<u32>().unwrap()..=last.parse::<u32>().unwrap()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cpu_list_is_read() {
        assert_eq!(cpu_list(" 0-2,5,7-8\n"), BTreeSet::from([0, 1, 2, 5, 7, 8]));
        assert_eq!(cpu_list("\n"), BTreeSet::new());
    }

    #[test]
    fn this_process_uses_cpu_time() {
        let me = std::process::id();
        assert!(thread_cpus(me).values().all(|cpus| !cpus.is_empty() && cpus.is_subset(&allowed_cpus())));
        let start = std::time::Instant::now();
        while thread_times(me, me).is_none_or(|times| times.used.is_zero()) {
            assert!(start.elapsed().as_secs() < 20, "no CPU time is ever seen");
        }
        assert!(resident_bytes(me).is_some_and(|bytes| bytes > 1 << 20));
    }
}
