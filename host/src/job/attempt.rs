use std::sync::Arc;

use sage_admission::Reason;
use sage_jobs::{JobIsolation, JobOrder};
use sage_observe::Summary;
use sage_plan::config::TenantName;
use sage_plan::{GrantedFolder, PathRules};
use sage_runtime::engine::{Job, JobError, JobOptions};
use sage_runtime::worker::ProcessIsolation;
use sage_runtime::worker::inspect_model::OneShotInspector;

use super::came_with::check_files;
use super::hard_limits::hard_limits;
use super::job_log::SharedLog;
use super::job_state::JobState;
use super::log_sink::LogSink;
use crate::failure::Failure;
use crate::refusal::of_job;
use crate::signals::SignalWatch;
use crate::validate::compiler;

/// Runs the pipeline of an order to its end.
pub(super) fn attempt(
    order: &JobOrder,
    state: &JobState,
    signals: &SignalWatch,
    log: &SharedLog,
) -> Result<Summary, Failure> {
    check_files(order)?;
    let log = log.clone();
    let stdout = move |name: &str| Box::new(LogSink { name: name.to_owned(), log: log.clone() }) as _;
    let shown_as = order.shown_as.as_deref().unwrap_or(&order.pipeline);
    let job = Job::from_file_within((&order.pipeline, shown_as), &path_rules(order), stdout, options(order)?)
        .map_err(|error| of_job(&error))?;
    let stop = job.stop_handle();
    state.read(job.plan(), stop.clone());
    signals.watch(stop.clone());
    let admitted = job.admit().map_err(|error| {
        // Only what others hold can become free.
        if matches!(error, JobError::Refused(_)) && job.fits_alone().unwrap_or(false) {
            state.no_room(is_of_tenant(&error));
        }
        of_job(&error)
    })?;
    hard_limits(order, &admitted.grant().report)?;
    state.admitted(admitted.grant());
    let session = job.start_admitted(admitted).map_err(|error| of_job(&error))?;
    state.begun(session.registry());
    let summary = session.wait();
    state.over(summary.clone());
    Ok(summary)
}

/// Whether only the tenant's own jobs hold what a refused pipeline asks for.
fn is_of_tenant(error: &JobError) -> bool {
    let JobError::Refused(refusal) = error else { return false };
    refusal.reasons.iter().all(|reason| matches!(reason, Reason::Ceiling { .. }))
}

/// The paths that the order's pipeline may name.
pub(super) fn path_rules(order: &JobOrder) -> PathRules {
    let granted = order.folders.iter().map(|folder| GrantedFolder { path: folder.path.clone(), write: folder.write });
    PathRules {
        files: order.files.clone(),
        data: order.data.clone(),
        granted: order.tenant.is_some().then(|| granted.collect()),
        connect: order.connect.clone(),
        models: order.models.clone(),
    }
}

pub(super) fn options(order: &JobOrder) -> Result<JobOptions, Failure> {
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
