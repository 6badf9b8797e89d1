use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, delete, get, post, put};
use serde_json::json;

use super::authorise::{Needs, authorise, guard};
use super::context::Context;
use super::openapi::{Described, document};
use super::problem::Problem;
use super::{
    audit_routes as audit, dashboard, device_routes as devices, files_routes as files, job_routes as jobs,
    live_routes as live, revision_routes as revisions, scrape, secret_routes as secrets, session_routes as session,
    stream_routes as streams, tenant_routes as tenants, token_routes as tokens,
};
use crate::access::Role;

/// A route of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// The method.
    pub method: &'static str,
    /// The path below `/v1`, or the whole path.
    pub path: &'static str,
    /// Whether the path is the whole one.
    pub at_root: bool,
    /// The lowest role that may use it. `None`: everyone, also those who do not say who they are.
    pub role: Option<Role>,
    /// Whether it is about things of a tenant. Then it is at `/v1/tenants/{tenant}PATH` too.
    pub of_tenant: bool,
}

impl Route {
    /// The whole paths.
    pub fn paths(&self) -> impl Iterator<Item = String> {
        let own = if self.at_root { self.path.to_owned() } else { format!("/v1{}", self.path) };
        let of_tenant = self.of_tenant.then(|| format!("/v1/tenants/{{tenant}}{}", self.path));
        std::iter::once(own).chain(of_tenant)
    }
}

/// All routes, with the role that each asks for. A route that is not in this table does not exist.
#[must_use]
pub fn route_list() -> Vec<Route> {
    table().into_iter().map(|(route, _)| route).collect()
}

type Entry = (Route, MethodRouter<Context>);

fn table() -> Vec<Entry> {
    let open = |method, path, handler| entry(method, path, None, false, handler);
    let machine = |method, path, role, handler| entry(method, path, Some(role), false, handler);
    let tenant = |method, path, role, handler| entry(method, path, Some(role), true, handler);
    let at_root = |method, path, role, handler| {
        let (route, handler) = machine(method, path, role, handler);
        (Route { at_root: true, ..route }, handler)
    };
    vec![
        open("GET", "/healthz", get(health)),
        open("POST", "/session", post(session::begin)),
        open("DELETE", "/session", delete(session::end)),
        machine("GET", "/session", Role::Metrics, get(session::show)),
        machine("GET", "/tenants", Role::Read, get(tenants::list)),
        machine("GET", "/tenants/{tenant}", Role::Read, get(tenants::show)),
        machine("GET", "/audit", Role::Admin, get(audit::read)),
        machine("GET", "/version", Role::Metrics, get(version)),
        machine("GET", "/openapi.json", Role::Metrics, get(openapi)),
        machine("GET", "/devices", Role::Read, get(devices::list)),
        at_root("GET", "/metrics", Role::Metrics, get(scrape::metrics)),
        tenant("GET", "/jobs", Role::Read, get(jobs::list)),
        tenant("POST", "/jobs", Role::Deploy, post(jobs::submit)),
        tenant("GET", "/jobs/{name}", Role::Read, get(jobs::detail)),
        tenant("DELETE", "/jobs/{name}", Role::Deploy, delete(jobs::delete)),
        tenant("POST", "/jobs/{name}/stop", Role::Operate, post(jobs::stop)),
        tenant("POST", "/jobs/{name}/savepoint", Role::Operate, post(jobs::savepoint)),
        tenant("POST", "/jobs/{name}/start", Role::Operate, post(jobs::start)),
        tenant("POST", "/jobs/{name}/restart", Role::Operate, post(jobs::restart)),
        tenant("PUT", "/jobs/{name}", Role::Deploy, put(revisions::put)),
        tenant("POST", "/jobs/{name}/rollback", Role::Deploy, post(revisions::rollback)),
        tenant("GET", "/jobs/{name}/revisions", Role::Read, get(revisions::list)),
        tenant("GET", "/jobs/{name}/revisions/{revision}", Role::Read, get(revisions::show)),
        tenant("GET", "/jobs/{name}/diff", Role::Read, get(revisions::diff)),
        tenant("GET", "/jobs/{name}/status", Role::Read, get(jobs::status)),
        tenant("GET", "/jobs/{name}/graph", Role::Read, get(jobs::graph)),
        tenant("GET", "/jobs/{name}/explain", Role::Read, get(jobs::explain)),
        tenant("GET", "/jobs/{name}/metrics", Role::Metrics, get(live::metrics)),
        tenant("GET", "/jobs/{name}/logs", Role::Read, get(streams::logs)),
        tenant("GET", "/jobs/{name}/events", Role::Read, get(streams::events_of_job)),
        tenant("GET", "/events", Role::Read, get(streams::events)),
        tenant("GET", "/components", Role::Read, get(files::list)),
        tenant("GET", "/components/{digest}", Role::Read, get(files::head)),
        tenant("PUT", "/components/{digest}", Role::Deploy, put(files::upload)),
        tenant("GET", "/tokens", Role::TenantAdmin, get(tokens::list)),
        tenant("POST", "/tokens", Role::TenantAdmin, post(tokens::make)),
        tenant("GET", "/secrets", Role::Deploy, get(secrets::list)),
        tenant("PUT", "/secrets/{secret}", Role::TenantAdmin, put(secrets::set)),
        tenant("DELETE", "/secrets/{secret}", Role::TenantAdmin, delete(secrets::remove)),
        tenant("DELETE", "/tokens/{id}", Role::TenantAdmin, delete(tokens::remove)),
    ]
}

fn entry(
    method: &'static str,
    path: &'static str,
    role: Option<Role>,
    of_tenant: bool,
    handler: MethodRouter<Context>,
) -> Entry {
    (Route { method, path, at_root: false, role, of_tenant }, handler)
}

/// The router of the table. Each route asks for its role before its handler sees the request.
pub(super) fn routes(context: Context) -> Router {
    let mut router = Router::new();
    for (route, handler) in table() {
        let needs = Needs { context: context.clone(), role: route.role };
        let handler = handler.route_layer(from_fn_with_state(needs, authorise));
        for path in route.paths() {
            router = router.route(&path, handler.clone());
        }
    }
    // The page is no part of the API: it holds nothing of anyone, and asks the API for everything.
    if context.settings.dashboard {
        router = router.route("/", get(dashboard::index)).route("/assets/{file}", get(dashboard::asset));
    }
    router
        .fallback(async || {
            Problem::new(StatusCode::NOT_FOUND, "no-such-route", "there is no such route")
                .hint("the routes are below /v1")
        })
        .method_not_allowed_fallback(async || {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "no-such-method", "the route does not take this method")
        })
        .layer(from_fn_with_state(context.clone(), guard))
        .layer(from_fn_with_state(context.counts.clone(), scrape::count))
        .with_state(context)
}

/// Whether the server's thread answers and takes new work. Everyone may ask, so the answer names no path.
async fn health(State(context): State<Context>) -> Response {
    match context.ask(|server| server.writable()).await {
        Ok(Ok(())) => "ok\n".into_response(),
        Ok(Err(_)) => {
            let why = "read-only: the state folder takes no writes; jobs go on\n";
            (StatusCode::SERVICE_UNAVAILABLE, why).into_response()
        }
        Err(problem) => problem.into_response(),
    }
}

async fn version() -> Response {
    let versions = json!({ "version": env!("CARGO_PKG_VERSION"), "api": 1, "jobs": sage_jobs::VERSION });
    jobs::json_response(StatusCode::OK, &versions)
}

async fn openapi() -> Response {
    let routes = route_list();
    let described = routes.iter().flat_map(|route| {
        let of = |path| Described { method: route.method, key: route.path, path, role: route.role.map(Role::name) };
        route.paths().map(of).collect::<Vec<_>>()
    });
    jobs::json_response(StatusCode::OK, &document(described))
}
