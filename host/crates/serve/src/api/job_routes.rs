use std::time::Duration;

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use sage_jobs::{ControlRequest, JobCheck, read_json};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::bounds::{JOB_TIME, LONGEST_PAGE, PAGE, SAVEPOINT_TIME};
use super::call_job::call_job;
use super::context::{Context, json, whole};
use super::dry_run::dry_run;
use super::job_request::JobRequest;
use super::problem::Problem;
use super::query::Query;
use super::revision_request::tagged;
use crate::access::{Principal, Scope};
use crate::process::ControlError;
use crate::server::{JobDetail, JobFilter};
use crate::state::{StopMode, Timeouts};
use crate::store::{Digest, IdempotencyKey, JobId, JobName, StoreError};

/// Longest Idempotency-Key.
const LONGEST_KEY: usize = 255;

pub(super) fn json_response(status: StatusCode, value: &impl Serialize) -> Response {
    match serde_json::to_string(value) {
        Ok(text) => (status, [(header::CONTENT_TYPE, "application/json")], text + "\n").into_response(),
        Err(error) => Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "not-json", error.to_string()).into_response(),
    }
}

/// The name of a job in a path.
pub(super) fn name_in(path: &str) -> Result<JobName, Problem> {
    path.parse().map_err(|error: String| Problem::bad("bad-name", error))
}

/// A path with the name of a job.
#[derive(Debug, Deserialize)]
pub(super) struct Named {
    pub(super) name: String,
}

/// The folder to which relative paths of a tenant's data lead. `None`: the owner names one.
pub(super) fn data_of(context: &Context, scope: &Scope) -> Result<Option<PathBuf>, Problem> {
    let Some(tenant) = &scope.tenant else { return Ok(None) };
    let folder = context.settings.state.join("data").join(tenant.as_str());
    let failed = |source| StoreError::Io { action: "make", path: folder.clone(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(failed)?;
    Ok(Some(folder))
}

pub(super) async fn submit(
    State(context): State<Context>,
    Extension(scope): Extension<Scope>,
    Extension(who): Extension<Principal>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let body = whole(body).await?;
    let key = idempotency_key(&headers, &body)?;
    let request: JobRequest = json(&body)?;
    let is_dry_run = request.dry_run;
    let submission = {
        let ceiling = context.settings.ceiling(scope.tenant.as_ref());
        let secrets = context.secrets.of(scope.tenant.as_ref()).names();
        request.checked(data_of(&context, &scope)?, (scope.tenant.clone(), ceiling), &secrets, key, who.name())?
    };
    if is_dry_run {
        return dry_run(&context, submission).await.map(|check| json_response(StatusCode::OK, &check));
    }
    let submitted = context.ask(|server| server.submit(submission)).await??;
    let status = if submitted.is_new { StatusCode::ACCEPTED } else { StatusCode::OK };
    let detail = context.ask(move |server| server.detail(submitted.id)).await??;
    Ok(json_response(status, &detail))
}

fn idempotency_key(headers: &HeaderMap, body: &[u8]) -> Result<Option<IdempotencyKey>, Problem> {
    let Some(key) = headers.get("idempotency-key") else { return Ok(None) };
    let key = key.to_str().ok().filter(|key| !key.is_empty() && key.len() <= LONGEST_KEY);
    let bad = || Problem::bad("bad-key", format!("Idempotency-Key has 1 to {LONGEST_KEY} printable characters"));
    Ok(Some(IdempotencyKey { key: key.ok_or_else(bad)?.to_owned(), request: Digest::of(body) }))
}

pub(super) async fn list(
    State(context): State<Context>,
    Extension(scope): Extension<Scope>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let query = Query::parse(query.as_deref(), &["state", "name", "cursor", "limit"])?;
    let limit = query.value("limit", "a number of jobs")?.unwrap_or(PAGE);
    if limit == 0 || limit > LONGEST_PAGE {
        return Err(Problem::bad("bad-parameter", format!("limit is {limit}, it must be 1 to {LONGEST_PAGE}")));
    }
    let after = query.text("cursor").map(cursor).transpose()?;
    let owned = |name: &str| query.text(name).map(str::to_owned);
    let filter = JobFilter { state: owned("state"), name: owned("name"), after, limit };
    let page = context.ask(move |server| server.list(scope.tenant.as_ref(), &filter)).await?;
    Ok(json_response(StatusCode::OK, &page))
}

fn cursor(text: &str) -> Result<(u64, JobId), Problem> {
    let parts = text.split_once('-');
    let parsed = parts.and_then(|(created, id)| Some((created.parse().ok()?, id.parse().ok()?)));
    parsed.ok_or_else(|| Problem::bad("bad-cursor", "cursor is not one that this server gave"))
}

/// The job that a path names.
pub(super) async fn job(context: &Context, scope: &Scope, name: &str) -> Result<JobId, Problem> {
    let name = name_in(name)?;
    let tenant = scope.tenant.clone();
    Ok(context.ask(move |server| server.find(&tenant, &name)).await??)
}

pub(super) async fn detail(
    State(context): State<Context>,
    Extension(scope): Extension<Scope>,
    Path(Named { name }): Path<Named>,
) -> Result<Response, Problem> {
    let id = job(&context, &scope, &name).await?;
    detail_of(&context, id, StatusCode::OK).await
}

async fn detail_of(context: &Context, id: JobId, status: StatusCode) -> Result<Response, Problem> {
    let detail: JobDetail = context.ask(move |server| server.detail(id)).await??;
    Ok(tagged(json_response(status, &detail), detail.row.revision))
}

pub(super) async fn delete(
    State(context): State<Context>,
    Extension(scope): Extension<Scope>,
    Path(Named { name }): Path<Named>,
) -> Result<Response, Problem> {
    let id = job(&context, &scope, &name).await?;
    context.ask(move |server| server.delete(id)).await??;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// The body of `stop`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stop {
    #[serde(default)]
    mode: Option<StopMode>,
    #[serde(default)]
    timeout: Option<u64>,
}

pub(super) async fn stop(
    State(context): State<Context>,
    Extension(scope): Extension<Scope>,
    Path(Named { name }): Path<Named>,
    body: Body,
) -> Result<Response, Problem> {
    let Stop { mode, timeout } = json(&whole(body).await?)?;
    if let Some(timeout) = timeout.filter(|timeout| *timeout > Timeouts::LONGEST_DRAIN) {
        let detail = format!("timeout is {timeout} ms, at most {} are allowed", Timeouts::LONGEST_DRAIN);
        return Err(Problem::unprocessable("bad-timeout", detail));
    }
    let id = job(&context, &scope, &name).await?;
    context.ask(move |server| server.stop(id, mode.unwrap_or(StopMode::Drain), timeout)).await?;
    detail_of(&context, id, StatusCode::ACCEPTED).await
}

/// The body of `savepoint`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AskedSavepoint {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    stop: bool,
}

/// Takes a savepoint of a job that runs. With `stop`, the job stops behind it.
pub(super) async fn savepoint(
    State(context): State<Context>,
    Extension(scope): Extension<Scope>,
    Path(Named { name }): Path<Named>,
    body: Body,
) -> Result<Response, Problem> {
    let AskedSavepoint { name: savepoint, stop } = json(&whole(body).await?)?;
    let id = job(&context, &scope, &name).await?;
    let name = savepoint.unwrap_or_else(|| format!("{:013}", sage_jobs::now()));
    let request = ControlRequest::Savepoint { name, stop };
    Ok(json_response(StatusCode::OK, &ask_job_within(&context, id, request, SAVEPOINT_TIME).await?))
}

pub(super) async fn start(
    State(context): State<Context>,
    Extension(scope): Extension<Scope>,
    Path(Named { name }): Path<Named>,
) -> Result<Response, Problem> {
    let id = job(&context, &scope, &name).await?;
    context.ask(move |server| server.start(id)).await??;
    detail_of(&context, id, StatusCode::ACCEPTED).await
}

pub(super) async fn restart(
    State(context): State<Context>,
    Extension(scope): Extension<Scope>,
    Path(Named { name }): Path<Named>,
) -> Result<Response, Problem> {
    let id = job(&context, &scope, &name).await?;
    context.ask(move |server| server.restart(id)).await??;
    detail_of(&context, id, StatusCode::ACCEPTED).await
}

pub(super) async fn status(
    State(context): State<Context>,
    Extension(scope): Extension<Scope>,
    Path(Named { name }): Path<Named>,
) -> Result<Response, Problem> {
    let id = job(&context, &scope, &name).await?;
    Ok(json_response(StatusCode::OK, &ask_job(&context, id, ControlRequest::Status).await?))
}

pub(super) async fn explain(
    State(context): State<Context>,
    Extension(scope): Extension<Scope>,
    Path(Named { name }): Path<Named>,
) -> Result<Response, Problem> {
    let id = job(&context, &scope, &name).await?;
    match ask_job(&context, id, ControlRequest::Explain).await {
        Ok(report) => Ok(json_response(StatusCode::OK, &report)),
        // Without a process, the report of the check says what it would get.
        Err(problem) => {
            let path = context.ask(move |server| server.check_file(id)).await?;
            let check: Option<JobCheck> = read_json(&path).ok();
            let report = check.and_then(|check| check.report).ok_or(problem)?;
            Ok(json_response(StatusCode::OK, &report))
        }
    }
}

/// The stages and edges of a job's plan, with the fields of each edge.
pub(super) async fn graph(
    State(context): State<Context>,
    Extension(scope): Extension<Scope>,
    Path(Named { name }): Path<Named>,
) -> Result<Response, Problem> {
    let id = job(&context, &scope, &name).await?;
    Ok(json_response(StatusCode::OK, &ask_job(&context, id, ControlRequest::Graph).await?))
}

/// What the process of a job answers.
pub(super) async fn ask_job(context: &Context, id: JobId, request: ControlRequest) -> Result<Value, Problem> {
    ask_job_within(context, id, request, JOB_TIME).await
}

async fn ask_job_within(
    context: &Context,
    id: JobId,
    request: ControlRequest,
    within: Duration,
) -> Result<Value, Problem> {
    let (socket, _) = context.ask(move |server| server.live_attempt(id)).await??;
    call_job(&socket, &request, within).await.map_err(|error| match error {
        ControlError::Refused(message) => Problem::new(StatusCode::CONFLICT, "job-refused", message),
        error => Problem::new(StatusCode::BAD_GATEWAY, "job-silent", error.to_string())
            .hint("it may be starting, ending, or stopped by a signal"),
    })
}
