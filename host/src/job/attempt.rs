use sage_admission::Reason;
use sage_jobs::JobOrder;
use sage_observe::Summary;
use sage_runtime::engine::{Job, JobError};

use super::confined::Confined;
use super::hard_limits::hard_limits;
use super::job_log::SharedLog;
use super::job_state::JobState;
use super::log_sink::LogSink;
use super::order_options::{options, path_rules};
use crate::failure::Failure;
use crate::refusal::of_job;
use crate::signals::SignalWatch;

/// Runs the pipeline of an order to its end.
pub(super) fn attempt(
    (order, confined): (&JobOrder, &Confined),
    state: &JobState,
    signals: &SignalWatch,
    log: &SharedLog,
) -> Result<Summary, Failure> {
    let log = log.clone();
    let stdout = move |name: &str| Box::new(LogSink { name: name.to_owned(), log: log.clone() }) as _;
    let shown_as = order.shown_as.as_deref().unwrap_or(&order.pipeline);
    let job = Job::from_file_within(
        (&order.pipeline, shown_as),
        &path_rules(order, confined.secrets()),
        stdout,
        options(order, confined.slice())?,
    )
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
