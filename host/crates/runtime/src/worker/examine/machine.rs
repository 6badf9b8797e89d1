use std::path::PathBuf;

use super::{
    Report, canary, component_cache, cpu_pinning, cpu_quota, device_access, devices, lease_folder, memory, pids,
    shared_memory, system_calls, worker_process,
};
use crate::engine::{JobError, JobOptions};
use sage_machine::cgroup::Cgroups;

/// Tests everything that `--isolation process` needs on this machine, with the folders and the slice of a run
/// with these options. `program` is started with `canary`, `worker` and `compile`; for `sage-host` itself it is
/// `/proc/self/exe`.
///
/// Takes some hundred milliseconds. Every started process has a time limit. Leftovers of dead runs are removed
/// first.
///
/// # Errors
/// The `host.toml` cannot be read or is invalid. A feature that does not work on the machine is no error; the
/// report shows it.
pub fn examine(options: &JobOptions, program: impl Into<PathBuf>) -> Result<Report, JobError> {
    let program = program.into();
    let settings = options.host_settings()?;
    let cgroups = Cgroups::detect(Some(&settings.slice));
    if let Err(error) = cgroups.sweep() {
        tracing::warn!(%error, "leftovers of dead runs could not be removed");
    }
    let heard = canary::send(&program);
    let heard = heard.as_ref().map_err(String::as_str);
    let examinations = vec![
        memory::examine(&cgroups, heard),
        cpu_quota::examine(&cgroups),
        cpu_pinning::examine(&cgroups, heard),
        pids::examine(&cgroups, heard),
        system_calls::examine(heard),
        device_access::examine(heard),
        shared_memory::examine(heard),
        worker_process::examine(options, &settings, &program),
        lease_folder::examine(options, &settings),
        component_cache::examine(options, &settings, &program),
        devices::examine(&settings),
    ];
    let slice = cgroups.slices().first().map(|slice| slice.display().to_string());
    Ok(Report::new(cgroups.composition(), slice, examinations))
}
