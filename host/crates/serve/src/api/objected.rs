use axum::http::StatusCode;
use sage_jobs::JobCheck;
use serde_json::{Value, json};

use super::problem::Problem;
use crate::server::message_of;

/// What a job that is not valid, or that can never fit, is answered with.
pub(super) fn objected(check: &JobCheck) -> Option<Problem> {
    let objection = check.objection.as_ref()?;
    let code = if objection.exit_code == 3 { "refused" } else { "pipeline-invalid" };
    let message = message_of(&objection.error).unwrap_or_default();
    let problem = match ceiling(&objection.error) {
        Some(ceiling) => {
            let of = |name: &str| ceiling.get(name).cloned().unwrap_or_default();
            let tenant = of("tenant").as_str().unwrap_or_default().to_owned();
            Problem::new(StatusCode::FORBIDDEN, "quota", message)
                .hint(format!("the limit is in [tenant.{tenant}] of host.toml"))
                .with("resource", of("resource"))
                .with("requested", of("requested"))
                .with("free", of("free"))
                .with("limit", of("limit"))
        }
        None => Problem::unprocessable(code, message),
    };
    Some(
        problem
            .with("exit_code", objection.exit_code)
            .with("error", objection.error.clone())
            .with("text", json!(objection.text)),
    )
}

/// The ceiling of its tenant that a pipeline exceeds, if nothing else is against it.
fn ceiling(error: &Value) -> Option<&Value> {
    let error = error.get("error").unwrap_or(error);
    let reasons = error.get("report")?.as_array()?;
    let ceilings = reasons.iter().map(|reason| reason.get("ceiling"));
    ceilings.collect::<Option<Vec<_>>>()?.first().copied()
}
