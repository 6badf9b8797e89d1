use std::path::Path;

use rustix::param::page_size;

use super::super::CpuSet;
use super::limits::Quota;
use super::mounts::Version;
use super::{CgroupError, Controller, cpu_list, knob};

/// The file of a limit; its name is also the mechanism's name.
pub(super) fn file_of(version: Version, controller: Controller) -> &'static str {
    match (version, controller) {
        (Version::V1, Controller::Memory) => "memory.limit_in_bytes",
        (Version::V1, Controller::Cpu) => "cpu.cfs_quota_us",
        (Version::V2, Controller::Memory) => "memory.max",
        (Version::V2, Controller::Cpu) => "cpu.max",
        (_, Controller::Cpuset) => "cpuset.cpus",
        (_, Controller::Pids) => "pids.max",
    }
}

/// The amount that the kernel stores: whole pages.
pub(super) fn whole_pages(bytes: u64) -> u64 {
    let page = u64::try_from(page_size()).unwrap_or(4096);
    bytes - bytes % page
}

/// Bounds the memory of a group, without swap. With `together`, the kernel kills all of the group's processes
/// when memory runs out (v2): a part of a worker is useless.
pub(super) fn memory(version: Version, group: &Path, bytes: u64, together: bool) -> Result<(), CgroupError> {
    let value = whole_pages(bytes).to_string();
    match version {
        Version::V1 => memory_v1(group, &value),
        Version::V2 => {
            knob::set_exactly(&group.join("memory.max"), &value)?;
            let swap = group.join("memory.swap.max");
            // The file is missing if the kernel does not count swap, because of its build or of
            // `swapaccount=0`.
            if swap.exists() {
                knob::set_exactly(&swap, "0")?;
            }
            let whole = group.join("memory.oom.group");
            if together && whole.exists() {
                knob::set_exactly(&whole, "1")?;
            }
            Ok(())
        }
    }
}

fn memory_v1(group: &Path, value: &str) -> Result<(), CgroupError> {
    let memory = group.join("memory.limit_in_bytes");
    let with_swap = group.join("memory.memsw.limit_in_bytes");
    if !with_swap.exists() {
        // Without a limit of memory and swap together, the kernel is at least told not to swap this group's
        // memory.
        knob::set_exactly(&group.join("memory.swappiness"), "0")?;
        return knob::set_exactly(&memory, value);
    }
    // The limit of memory must never be above that of memory and swap. A falling limit is therefore written
    // to the first file first, a rising one to the second.
    if knob::write(&memory, value).is_err() {
        knob::set_exactly(&with_swap, value)?;
    }
    knob::set_exactly(&memory, value)?;
    knob::set_exactly(&with_swap, value)
}

/// Bounds the CPU time of a group.
pub(super) fn cpu(version: Version, group: &Path, quota: Quota) -> Result<(), CgroupError> {
    let Quota { quota, period } = quota;
    match version {
        Version::V1 => {
            let quota_file = group.join("cpu.cfs_quota_us");
            // A new period under the old quota could ask for more than the group above has.
            knob::set_exactly(&quota_file, "-1")?;
            knob::set_exactly(&group.join("cpu.cfs_period_us"), &period.to_string())?;
            knob::set_exactly(&quota_file, &quota.to_string())
        }
        Version::V2 => knob::set_exactly(&group.join("cpu.max"), &format!("{quota} {period}")),
    }
}

/// Lifts a quota of CPU time with the text `quota`. Returns `false` if there is no quota or it cannot be
/// lifted.
pub(super) fn lift(file: &Path, quota: &str) -> bool {
    let none = if file.ends_with("cpu.max") { "max" } else { "-1" };
    !quota.starts_with(none) && knob::write(file, none).is_ok()
}

/// Bounds the CPUs of a group.
pub(super) fn cpuset(group: &Path, cpus: &CpuSet) -> Result<(), CgroupError> {
    knob::set(&group.join("cpuset.cpus"), &cpus.to_string(), |found| cpu_list::parse(found).as_ref() == Some(cpus))
}

/// Bounds the number of processes and threads of a group.
pub(super) fn pids(group: &Path, most: u64) -> Result<(), CgroupError> {
    knob::set_exactly(&group.join("pids.max"), &most.to_string())
}

/// The CPUs that a group has from the groups above.
pub(super) fn cpus_of(version: Version, group: &Path) -> Option<CpuSet> {
    let file = match version {
        Version::V1 => "cpuset.cpus",
        Version::V2 => "cpuset.cpus.effective",
    };
    cpu_list::parse(&knob::read(&group.join(file)).ok()?).filter(|cpus| !cpus.is_empty())
}

/// Prepares a new v1 group, so that processes can enter it and the groups in it are counted with it.
pub(super) fn furnish_v1(group: &Path) -> Result<(), CgroupError> {
    let hierarchy = group.join("memory.use_hierarchy");
    if knob::read(&hierarchy).is_ok_and(|counted| counted != "1") {
        knob::set_exactly(&hierarchy, "1")?;
    }
    for name in ["cpuset.cpus", "cpuset.mems"] {
        let file = group.join(name);
        if !knob::read(&file).is_ok_and(|own| own.is_empty()) {
            continue;
        }
        if let Some(above) = group.parent() {
            knob::set_exactly(&file, &knob::read(&above.join(name))?)?;
        }
    }
    Ok(())
}
