use sage_jobs::{AliveLock, JobEnd, JobFolder, JobOrder, JobOutcome, last_attempt, now, read_json};

use super::error::StoreError;
use super::{JobId, JobSpec};
use crate::state::{Blame, Desired, Job, Outcome, RestartOn, RestartPolicy, State};

/// What the user of a job asked for, and whether it was made anew from the order of the last attempt.
pub(super) fn read_spec(folder: &JobFolder, id: JobId) -> Result<(JobSpec, bool), StoreError> {
    let read: Result<JobSpec, _> = read_json(&folder.path().join("spec.json"));
    match read {
        Ok(spec) if spec.id == id => return Ok((spec, false)),
        Ok(_) => {}
        Err(error) if error.is_absent() || is_malformed(&error) => {}
        Err(error) => return Err(error.into()),
    }
    // Before the first attempt there is the order of the check.
    let order: JobOrder = read_json(&folder.order()).or_else(|_| read_json(&folder.check_order(1)))?;
    let name = order.name.parse().unwrap_or_else(|_| super::JobName::like(&order.name));
    // The files of a job whose tenant cannot be read must not become those of the owner.
    let unread = |error: sage_plan::config::TenantNameError| {
        let path = folder.order();
        StoreError::Job(sage_jobs::JobError::Malformed { path, reason: error.to_string() })
    };
    let tenant = order.tenant.map(|tenant| tenant.parse()).transpose().map_err(unread)?;
    let digest = |path: &std::path::Path| {
        let hex = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        format!("sha256:{hex}").parse().ok()
    };
    let files = order.files.iter().filter_map(|(written, path)| Some((written.clone(), digest(path)?))).collect();
    let spec = JobSpec {
        version: order.version,
        id,
        name,
        tenant,
        created: now(),
        revision: order.revision,
        shown_as: order.shown_as,
        data: order.data,
        files,
        isolation: order.isolation,
        labels: Default::default(),
        idempotency: None,
    };
    Ok((spec, true))
}

/// The state of a job, and whether it was made anew from what its attempts left. A state that was made anew starts
/// nothing by itself, because what its user wanted is not known.
pub(super) fn read_state(folder: &JobFolder) -> Result<(Job, bool), StoreError> {
    let read: Result<Job, _> = read_json(&folder.path().join("state.json"));
    match read {
        Ok(job) => return Ok((job, false)),
        Err(error) if error.is_absent() || is_malformed(&error) => {}
        Err(error) => return Err(error.into()),
    }
    let order: Option<JobOrder> = read_json(&folder.order()).ok();
    let drain_timeout = order.as_ref().map_or(30_000, |order| order.drain_timeout.as_millis() as u64);
    let revision = order.as_ref().map_or(1, |order| order.revision);
    let ordered = order.map_or(0, |order| order.attempt);
    let attempt = last_attempt(folder).ok().flatten().unwrap_or(0).max(ordered);
    let policy = RestartPolicy { on: Some(RestartOn::Never) };
    let mut job = Job { attempt, revision, deadline: None, ..Job::submitted(policy, drain_timeout, now()) };
    if AliveLock::is_held(&folder.alive_lock())? {
        job.state = State::Running;
        return Ok((job, true));
    }
    let end: Option<JobEnd> = read_json(&folder.end()).ok().filter(|end: &JobEnd| end.attempt == attempt);
    let (outcome, exit_code) = end.map_or((Outcome::Failed, 1), |end| (outcome(end.outcome), end.exit_code));
    job.state = State::Ended { outcome, exit_code };
    job.desired = Desired::Stopped;
    let message = "its state was corrupt and was made anew from what its attempts left".to_owned();
    job.blame = Some(Blame { code: "state-rebuilt".to_owned(), message });
    Ok((job, true))
}

fn outcome(outcome: JobOutcome) -> Outcome {
    match outcome {
        JobOutcome::Completed => Outcome::Completed,
        JobOutcome::Drained => Outcome::Stopped,
        JobOutcome::Aborted => Outcome::Aborted,
        JobOutcome::Failed | JobOutcome::NoRoom | JobOutcome::TenantFull => Outcome::Failed,
        JobOutcome::Refused | JobOutcome::Invalid => Outcome::Rejected,
    }
}

fn is_malformed(error: &sage_jobs::JobError) -> bool {
    matches!(error, sage_jobs::JobError::Malformed { .. })
}
