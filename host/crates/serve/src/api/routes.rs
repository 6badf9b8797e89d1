use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use serde_json::json;

use super::context::Context;
use super::principal::Principal;
use super::problem::Problem;
use super::{files_routes as files, job_routes as jobs, stream_routes as streams};

/// All routes.
pub(super) fn routes(context: Context) -> Router {
    Router::new()
        .route("/v1/version", get(version))
        .route("/v1/jobs", get(jobs::list).post(jobs::submit))
        .route("/v1/jobs/{name}", get(jobs::detail).delete(jobs::delete))
        .route("/v1/jobs/{name}/stop", post(jobs::stop))
        .route("/v1/jobs/{name}/start", post(jobs::start))
        .route("/v1/jobs/{name}/restart", post(jobs::restart))
        .route("/v1/jobs/{name}/status", get(jobs::status))
        .route("/v1/jobs/{name}/explain", get(jobs::explain))
        .route("/v1/jobs/{name}/metrics", get(jobs::metrics))
        .route("/v1/jobs/{name}/logs", get(streams::logs))
        .route("/v1/jobs/{name}/events", get(streams::events_of_job))
        .route("/v1/events", get(streams::events))
        .route("/v1/components", get(files::list))
        .route("/v1/components/{digest}", get(files::head).put(files::upload))
        .layer(from_fn(only_the_owner))
        .route("/v1/healthz", get(async || "ok\n"))
        .fallback(async || {
            Problem::new(StatusCode::NOT_FOUND, "no-such-route", "there is no such route")
                .hint("the routes are below /v1")
        })
        .method_not_allowed_fallback(async || {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "no-such-method", "the route does not take this method")
        })
        .with_state(context)
}

/// Refuses everyone but the owner.
async fn only_the_owner(request: Request, next: Next) -> Response {
    let who = request.extensions().get::<Principal>().copied();
    match who {
        Some(who) if who.is_owner() => next.run(request).await,
        _ => {
            let detail = "only the user of the server and root may use this socket";
            Problem::new(StatusCode::FORBIDDEN, "not-the-owner", detail).into_response()
        }
    }
}

async fn version() -> Response {
    let versions = json!({ "version": env!("CARGO_PKG_VERSION"), "api": 1, "jobs": sage_jobs::VERSION });
    jobs::json_response(StatusCode::OK, &versions)
}
