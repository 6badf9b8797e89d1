use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use sage_plan::config::TenantName;
use serde_json::json;

use super::context::Context;
use super::job_routes::json_response;
use super::problem::Problem;
use crate::access::{Principal, Scope};
use crate::server::TenantView;
use crate::store::StoreError;

/// The tenants that a principal sees, with their ceilings and what they use.
pub(super) async fn list(
    State(context): State<Context>,
    Extension(who): Extension<Principal>,
) -> Result<Response, Problem> {
    let seen: Vec<TenantName> = context.settings.tenants.keys().filter(|tenant| who.sees(tenant)).cloned().collect();
    let mut tenants = Vec::with_capacity(seen.len());
    for tenant in seen {
        tenants.push(view(&context, tenant).await?);
    }
    Ok(json_response(StatusCode::OK, &json!({ "tenants": tenants })))
}

/// The tenant of a path.
pub(super) async fn show(
    State(context): State<Context>,
    Extension(scope): Extension<Scope>,
) -> Result<Response, Problem> {
    let absent = || Problem::new(StatusCode::NOT_FOUND, "no-such-tenant", "the path names no tenant");
    Ok(json_response(StatusCode::OK, &view(&context, scope.tenant.ok_or_else(absent)?).await?))
}

async fn view(context: &Context, tenant: TenantName) -> Result<TenantView, Problem> {
    let files = context.files.of(Some(&tenant));
    let bytes = tokio::task::spawn_blocking(move || {
        Ok::<u64, StoreError>(files.list()?.iter().map(|file| file.size).fold(0, u64::saturating_add))
    });
    let broke =
        |error: tokio::task::JoinError| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "broke", error.to_string());
    let bytes = bytes.await.map_err(broke)??;
    context.ask(move |server| server.tenant(&tenant, bytes)).await
}
