use std::path::{Path, PathBuf};

use sage_jobs::{JobFolder, JobOrder};
use sage_machine::cgroup::CgroupReach;
use sage_process::lockdown::{JobFence, Reach};

use super::order_options::options;
use crate::ExitCode;
use crate::failure::Failure;
use crate::refusal::of_job;

/// What this process, and all that it starts, may still reach, for a job of a tenant.
///
/// The names of a pipeline are checked before; this holds for what names cannot show, such as a symbolic link that a
/// component made in its folder.
pub(super) fn fence(order: &JobOrder, folder: &JobFolder, slice: Option<&str>) -> Result<JobFence, Failure> {
    let options = options(order, slice)?;
    let settings = options.host_settings().map_err(|error| of_job(&error))?;
    let mut paths: Vec<(PathBuf, Reach)> = Vec::new();
    let mut add = |path: &Path, reach| paths.push((path.to_owned(), reach));
    // The program and its libraries. /proc has this process, its workers and the state of the machine; landlock keeps
    // the insides of other processes there from it.
    for path in ["/proc/self/exe", "/usr/lib", "/usr/lib64", "/lib", "/lib64", "/etc/ld.so.cache"] {
        add(Path::new(path), Reach::Run);
    }
    for path in ["/proc", "/sys", "/dev/urandom"] {
        add(Path::new(path), Reach::Read);
    }
    add(Path::new("/dev/null"), Reach::Update);
    for device in devices() {
        add(&device, Reach::Update);
    }
    let library = settings.onnxruntime_library.clone();
    for library in library.into_iter().chain(std::env::var_os("ORT_DYLIB_PATH").map(PathBuf::from)) {
        add(library.parent().unwrap_or(&library), Reach::Run);
    }
    for model in &settings.models {
        add(&model.spec.path, Reach::Read);
    }
    if let Some(host_file) = &order.host_file {
        add(host_file, Reach::Read);
    }
    // The server lays them out in the folder of the job; wherever they are, they came with the pipeline.
    for file in order.files.values().chain([&order.pipeline]) {
        add(file, Reach::Read);
    }
    let groups = CgroupReach::of(Some(&settings.slice));
    for group in &groups.groups {
        add(group, Reach::Write);
    }
    for file in &groups.files {
        add(file, Reach::Update);
    }
    // The folders are made here, because what is above them is not reached.
    let leases = options.lease_folder(&settings).map_err(|error| Failure::of(ExitCode::Refused, &error))?;
    add(leases.path(), Reach::Write);
    if let Some(cache) = options.cache_folder(&settings) {
        // Without it components are compiled each time.
        let _ = std::fs::create_dir_all(&cache);
        add(&cache, Reach::Write);
    }
    add(folder.path(), Reach::Write);
    // A process that is not root's any more cannot make or remove a socket there anyway.
    if let Some(sockets) = order.socket.parent().filter(|_| order.user.is_none()) {
        add(sockets, Reach::Write);
    }
    add(&order.data, Reach::Write);
    for granted in &order.folders {
        add(&granted.path, if granted.write { Reach::Write } else { Reach::Read });
    }
    Ok(JobFence { paths, connect: order.connect.clone() })
}

/// The files of accelerators.
fn devices() -> Vec<PathBuf> {
    let entries = std::fs::read_dir("/dev").into_iter().flatten().flatten();
    let wanted = |name: &str| name.starts_with("nvidia") || name == "dri" || name == "kfd";
    entries.filter(|entry| entry.file_name().to_str().is_some_and(wanted)).map(|entry| entry.path()).collect()
}
