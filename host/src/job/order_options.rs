use std::collections::BTreeMap;
use std::sync::Arc;

use sage_jobs::{JobIsolation, JobOrder};
use sage_plan::config::TenantName;
use sage_plan::{GrantedFolder, PathRules, SecretText};
use sage_runtime::engine::JobOptions;
use sage_runtime::worker::ProcessIsolation;
use sage_runtime::worker::inspect_model::OneShotInspector;

use crate::failure::Failure;
use crate::validate::compiler;

/// The paths that the order's pipeline may name.
pub(super) fn path_rules(order: &JobOrder, secrets: &BTreeMap<String, SecretText>) -> PathRules {
    let granted = order.folders.iter().map(|folder| GrantedFolder { path: folder.path.clone(), write: folder.write });
    PathRules {
        files: order.files.clone(),
        data: order.data.clone(),
        granted: order.tenant.is_some().then(|| granted.collect()),
        connect: order.connect.clone(),
        models: order.models.clone(),
        secrets: secrets.clone(),
    }
}

/// The options of the library for an order. `slice`: that of the job, if it is not that of the host file.
pub(super) fn options(order: &JobOrder, slice: Option<&str>) -> Result<JobOptions, Failure> {
    let tenant = match &order.tenant {
        Some(tenant) => tenant.parse().map_err(|error| Failure::invalid(format!("the order of the job: {error}")))?,
        None => TenantName::default(),
    };
    // The running program, even if its file was replaced in the meantime.
    let processes = Arc::new(ProcessIsolation::new("/proc/self/exe"));
    Ok(JobOptions {
        host_file: order.host_file.clone(),
        tenant,
        job: Some(order.id.clone()),
        slice: slice.map(str::to_owned),
        cache_folder: order.cache.clone(),
        launcher: match order.isolation {
            JobIsolation::Process => Some(Arc::clone(&processes) as _),
            JobIsolation::Thread => None,
        },
        device_opener: Some(processes),
        examiner: Some(Arc::new(OneShotInspector::new("/proc/self/exe"))),
        compiler: Some(compiler()),
        ..JobOptions::default()
    })
}
