use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::json;

use super::context::{Context, whole};
use super::job_routes::json_response;
use super::problem::Problem;
use crate::access::Scope;
use crate::store::SecretStore;

/// A path with the name of a secret.
#[derive(Deserialize)]
pub(super) struct OfSecret {
    secret: String,
}

/// The names of the secrets. No answer has a value.
pub(super) async fn list(
    State(context): State<Context>,
    Extension(scope): Extension<Scope>,
) -> Result<Response, Problem> {
    let secrets = context.secrets.of(scope.tenant.as_ref());
    let listed = tokio::task::spawn_blocking(move || secrets.list()).await.map_err(broke)??;
    Ok(json_response(StatusCode::OK, &json!({ "secrets": listed })))
}

/// Keeps the body as the value of a secret. The audit log has the name, and no digest of the value.
pub(super) async fn set(
    State(context): State<Context>,
    Extension(scope): Extension<Scope>,
    Path(OfSecret { secret: name }): Path<OfSecret>,
    body: Body,
) -> Result<Response, Problem> {
    SecretStore::check_name(&name).map_err(|error| Problem::unprocessable("bad-name", error))?;
    let bytes = whole(body).await?;
    let (length, most) = (bytes.len(), SecretStore::LONGEST);
    if length == 0 || length > most {
        return Err(Problem::unprocessable("bad-secret", format!("the value has {length} bytes, it has 1 to {most}")));
    }
    let text = |_| Problem::unprocessable("bad-secret", "the value is not UTF-8");
    let value = String::from_utf8(bytes).map_err(text)?;
    context.ask(|server| server.writable()).await??;
    let secrets = context.secrets.of(scope.tenant.as_ref());
    let kept = name.clone();
    let is_new = tokio::task::spawn_blocking(move || secrets.set(&kept, value)).await.map_err(broke)??;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok(json_response(status, &json!({ "name": name, "new": is_new })))
}

/// Removes a secret.
pub(super) async fn remove(
    State(context): State<Context>,
    Extension(scope): Extension<Scope>,
    Path(OfSecret { secret: name }): Path<OfSecret>,
) -> Result<Response, Problem> {
    let secrets = context.secrets.of(scope.tenant.as_ref());
    let was_there = tokio::task::spawn_blocking(move || secrets.remove(&name)).await.map_err(broke)??;
    if was_there {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    Err(Problem::new(StatusCode::NOT_FOUND, "no-such-secret", "there is no such secret"))
}

fn broke(error: tokio::task::JoinError) -> Problem {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "broke", error.to_string())
}
