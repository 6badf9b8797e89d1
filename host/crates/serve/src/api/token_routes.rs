use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use sage_plan::config::TenantName;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::authorise::no_such_tenant;
use super::context::{Context, json, whole};
use super::job_routes::json_response;
use super::problem::Problem;
use crate::access::{NewToken, Principal, Role, Scope, Token, TokenId};

/// Milliseconds that a token lasts for which nothing else is said: 90 days.
const LIFE: u64 = 90 * 24 * 60 * 60 * 1000;
/// Longest note, in bytes.
const LONGEST_NOTE: usize = 200;

/// The body of `POST /v1/tokens`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenRequest {
    /// What the owner of the token may do.
    pub role: Role,
    /// The tenant to which it belongs. Absent: the one of the path, or the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<TenantName>,
    /// Milliseconds that it lasts. Absent: 90 days. Null: for ever.
    #[serde(default = "ninety_days")]
    pub lifetime: Option<u64>,
    /// Words about it.
    #[serde(default)]
    pub note: String,
}

#[expect(clippy::unnecessary_wraps, reason = "the default of an optional field")]
fn ninety_days() -> Option<u64> {
    Some(LIFE)
}

/// A path with the identifier of a token.
#[derive(Deserialize)]
pub(super) struct Named {
    id: String,
}

pub(super) async fn list(State(context): State<Context>, Extension(scope): Extension<Scope>) -> Response {
    let tokens = context.access.tokens.list(scope.tenant.as_ref());
    json_response(StatusCode::OK, &json!({ "tokens": tokens }))
}

/// Makes a token, and shows its text for the only time.
pub(super) async fn make(
    State(context): State<Context>,
    Extension(who): Extension<Principal>,
    Extension(scope): Extension<Scope>,
    body: Body,
) -> Result<Response, Problem> {
    let request: TokenRequest = json(&whole(body).await?)?;
    let tenant = tenant(&context, &scope, request.tenant)?;
    if !who.role.allows(request.role) {
        let detail = format!("the token would have the role {}, yours is {}", request.role, who.role);
        return Err(Problem::new(StatusCode::FORBIDDEN, "role-too-low", detail).hint("ask for a lower role"));
    }
    if let Some(tenant) = &tenant
        && request.role == Role::Admin
    {
        let detail = format!("no token of a tenant has the role admin, the highest for {tenant} is tenant-admin");
        return Err(Problem::unprocessable("role-too-high", detail));
    }
    if request.note.len() > LONGEST_NOTE || request.note.chars().any(char::is_control) {
        let detail = format!("note has at most {LONGEST_NOTE} bytes, and no control characters");
        return Err(Problem::unprocessable("bad-note", detail));
    }
    if request.lifetime == Some(0) {
        return Err(Problem::unprocessable("bad-lifetime", "lifetime is 0 ms: the token would open nothing"));
    }
    context.ask(|server| server.writable()).await??;
    let now = sage_jobs::now();
    let expires = request.lifetime.map(|lifetime| now.saturating_add(lifetime));
    let new = NewToken { tenant, role: request.role, note: request.note, expires };
    let tokens = context.access.tokens.clone();
    let made = tokio::task::spawn_blocking(move || tokens.make(new, now)).await;
    let (token, text) = made.map_err(broke)??;
    tracing::info!(token = %token.id, role = %token.role, by = %who.name(), "a token was made");
    let mut answer = serde_json::to_value(&token).unwrap_or_default();
    if let Some(answer) = answer.as_object_mut() {
        answer.insert("token".to_owned(), Value::from(text.reveal()));
    }
    Ok(json_response(StatusCode::CREATED, &answer))
}

/// The tenant of a new token: the one of the path, of the body, or none.
fn tenant(context: &Context, scope: &Scope, asked: Option<TenantName>) -> Result<Option<TenantName>, Problem> {
    match (&scope.tenant, asked) {
        (Some(own), Some(asked)) if *own != asked => Err(no_such_tenant(asked.as_str())),
        (None, Some(asked)) if !context.settings.tenants.contains_key(&asked) => Err(no_such_tenant(asked.as_str())),
        (own, asked) => Ok(own.clone().or(asked)),
    }
}

/// Removes a token. It opens nothing any more when the answer comes.
pub(super) async fn remove(
    State(context): State<Context>,
    Extension(who): Extension<Principal>,
    Extension(scope): Extension<Scope>,
    Path(Named { id }): Path<Named>,
) -> Result<Response, Problem> {
    let absent = || Problem::new(StatusCode::NOT_FOUND, "no-such-token", "there is no such token");
    let id: TokenId = id.parse().map_err(|error: String| Problem::bad("bad-token-id", error))?;
    let found: Option<Token> =
        context.access.tokens.list(scope.tenant.as_ref()).into_iter().find(|token| token.id == id);
    let found = found.ok_or_else(absent)?;
    if !who.role.allows(found.role) {
        let detail = format!("the token has the role {}, yours is {}", found.role, who.role);
        return Err(Problem::new(StatusCode::FORBIDDEN, "role-too-low", detail));
    }
    let tokens = context.access.tokens.clone();
    tokio::task::spawn_blocking(move || tokens.remove(id)).await.map_err(broke)??;
    tracing::info!(token = %id, by = %who.name(), "a token was removed");
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn broke(error: tokio::task::JoinError) -> Problem {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "broke", error.to_string())
}
