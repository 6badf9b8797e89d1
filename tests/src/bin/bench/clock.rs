use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// CPU time of the calling thread.
pub(crate) fn thread_cpu_time() -> Duration {
    read(ClockId::ThreadCPUTime)
}

/// CPU time of all threads of this process.
pub(crate) fn process_cpu_time() -> Duration {
    read(ClockId::ProcessCPUTime)
}

/// CPU time of this process and of all its children that have ended.
pub(crate) fn family_cpu_time() -> Duration {
    let children = std::fs::read_to_string("/proc/self/stat").ok().and_then(|stat| {
        let fields: Vec<i64> =
            stat.rsplit(')').next()?.split_whitespace().filter_map(|field| field.parse().ok()).collect();
        // After the name come the state (no number) and the parent's id. cutime and cstime are numbers 13 and
        // 14 of the rest.
        u64::try_from(fields.get(12)? + fields.get(13)?).ok()
    });
    let ticks = rustix::param::clock_ticks_per_second();
    process_cpu_time() + Duration::from_secs_f64(children.unwrap_or(0) as f64 / ticks as f64)
}

/// CPU time of this process and of all its living descendants.
pub(crate) fn tree_cpu_time() -> Duration {
    let mut processes = vec![std::process::id().cast_signed()];
    let mut at = 0;
    while let Some(process) = processes.get(at) {
        let tasks = std::fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
        let lists: Vec<_> =
            tasks.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok()).collect();
        processes.extend(lists.iter().flat_map(|list| list.split_whitespace()).filter_map(|id| id.parse::<i32>().ok()));
        at += 1;
    }
    processes.into_iter().map(cpu_time_of).sum()
}

/// CPU time of the threads of a process, in nanoseconds.
pub(crate) fn cpu_time_of(process: i32) -> Duration {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let used = |task: std::fs::DirEntry| {
        let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
    };
    tasks.filter_map(used).sum()
}

fn read(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}
