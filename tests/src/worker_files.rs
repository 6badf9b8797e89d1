use std::path::{Path, PathBuf};

use sage_machine::cgroup::{Cgroups, Controls};
use sage_test_support::{Need, skip};

/// The worker processes of a running `sage-host`, oldest first.
pub fn workers_of(host: u32) -> Vec<u32> {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{host}/task")) else { return Vec::new() };
    let mut workers: Vec<u32> = tasks
        .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("children")).ok())
        .flat_map(|children| children.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<u32>>())
        .filter(|pid| {
            let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            words.split(|&byte| byte == 0).any(|word| word == b"worker")
        })
        .collect();
    workers.sort_unstable();
    workers
}

/// Whether the kernel has a control that a test needs; if not, reports that the test is skipped, and why.
pub fn has_control(which: impl FnOnce(&Controls) -> bool) -> bool {
    let cgroups = Cgroups::detect(None);
    let has = which(cgroups.controls());
    if !has {
        skip(Need::Cgroup, format_args!("no such control group here: {:?}", cgroups.controls()));
    }
    has
}

/// Control groups of any hierarchy with the name of the pipeline in their own names.
pub fn groups_named(pipeline: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from("/sys/fs/cgroup")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            if named(&path, pipeline) {
                found.push(path.display().to_string());
            }
            folders.push(path);
        }
    }
    found.sort();
    found
}

fn named(path: &Path, pipeline: &str) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    name == pipeline || name.strip_prefix(pipeline).is_some_and(|rest| rest.starts_with('~'))
}
