use sage_jobs::JobCheck;
use serde_json::json;

use super::problem::Problem;
use crate::server::message_of;

/// What a job that is not valid, or that can never fit, is answered with.
pub(super) fn objected(check: &JobCheck) -> Option<Problem> {
    let objection = check.objection.as_ref()?;
    let code = if objection.exit_code == 3 { "refused" } else { "pipeline-invalid" };
    let message = message_of(&objection.error).unwrap_or_default();
    Some(
        Problem::unprocessable(code, message)
            .with("exit_code", objection.exit_code)
            .with("error", objection.error.clone())
            .with("text", json!(objection.text)),
    )
}
