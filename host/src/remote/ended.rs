use sage_serve::server::JobDetail;

use super::connection::{code, of_error, of_objection};
use crate::ExitCode;
use crate::failure::Failure;

/// The outcome of a job that has ended: success, or the failure with which `run` would have ended.
pub(super) fn outcome(job: &JobDetail) -> Result<(), Failure> {
    let number = job.row.exit_code.unwrap_or(0);
    if number == 0 {
        return Ok(());
    }
    let rejected = job.check.as_ref().and_then(|check| check.objection.as_ref());
    if let Some(objection) = rejected.filter(|_| job.row.state == "rejected") {
        return Err(of_objection(&objection.error, &objection.text));
    }
    if let Some(error) = job.end.as_ref().and_then(|end| end.error.as_ref()) {
        return Err(of_error(error));
    }
    let why = job.row.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    let message = format!("job \"{}\" is {}{why}", job.row.name, job.row.state);
    let failure = Failure::new(code(number), message);
    Err(if code(number) == ExitCode::InternalFault {
        failure.hint(format!("`sage-host logs {0}` and `sage-host events {0}` say what happened before", job.row.name))
    } else {
        failure
    })
}
