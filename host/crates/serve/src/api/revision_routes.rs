use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Deserialize;

use super::context::{Context, json, whole};
use super::job_routes::{Named, data_of, job, json_response};
use super::problem::Problem;
use super::query::Query;
use super::revision_diff::RevisionDiff;
use super::revision_request::{RevisionRequest, RollbackRequest, tagged, terms};
use crate::access::{Principal, Scope};
use crate::server::{JobDetail, RevisionDetail, RevisionList};
use crate::store::JobId;

/// A path with the name of a job and the number of a revision.
#[derive(Debug, Deserialize)]
pub(super) struct Numbered {
    name: String,
    revision: String,
}

/// The revisions of a job.
pub(super) async fn list(
    State(context): State<Context>,
    Extension(scope): Extension<Scope>,
    Path(Named { name }): Path<Named>,
) -> Result<Response, Problem> {
    let id = job(&context, &scope, &name).await?;
    let list: RevisionList = context.ask(move |server| server.revisions(id)).await??;
    let current = list.current;
    Ok(tagged(json_response(StatusCode::OK, &list), current))
}

/// A revision with its pipeline file.
pub(super) async fn show(
    State(context): State<Context>,
    Extension(scope): Extension<Scope>,
    Path(Numbered { name, revision }): Path<Numbered>,
) -> Result<Response, Problem> {
    let id = job(&context, &scope, &name).await?;
    let detail = read(&context, id, number(&revision)?).await?;
    Ok(json_response(StatusCode::OK, &detail))
}

/// The differences of two revisions.
pub(super) async fn diff(
    State(context): State<Context>,
    Extension(scope): Extension<Scope>,
    Path(Named { name }): Path<Named>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let query = Query::parse(query.as_deref(), &["from", "to"])?;
    let id = job(&context, &scope, &name).await?;
    let list: RevisionList = context.ask(move |server| server.revisions(id)).await??;
    let what = "the number of a revision";
    let to = query.value("to", what)?.unwrap_or(list.current);
    let before = list.revisions.iter().rev().map(|one| one.number).find(|number| *number < to);
    let from = query.value("from", what)?.or(before).unwrap_or(to);
    let (one, other) = (read(&context, id, from).await?, read(&context, id, to).await?);
    Ok(json_response(StatusCode::OK, &RevisionDiff::of(&one, &other)))
}

/// Adds a revision and rolls it out.
pub(super) async fn put(
    State(context): State<Context>,
    Extension(scope): Extension<Scope>,
    Extension(who): Extension<Principal>,
    Path(Named { name }): Path<Named>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let request: RevisionRequest = json(&whole(body).await?)?;
    let terms = terms(&headers, request.watch, request.accept_loss)?;
    let id = job(&context, &scope, &name).await?;
    let (request, note) = request.split()?;
    let ceiling = context.settings.ceiling(scope.tenant.as_ref());
    let data = data_of(&context, &scope)?;
    let secrets = context.secrets.of(scope.tenant.as_ref()).names();
    let submission = request.checked(data, (scope.tenant.clone(), ceiling), &secrets, None, who.name())?;
    let changed = context.ask(move |server| server.roll_out(id, submission, note, terms)).await??;
    answer(&context, id, changed).await
}

/// Rolls an earlier revision out.
pub(super) async fn rollback(
    State(context): State<Context>,
    Extension(scope): Extension<Scope>,
    Path(Named { name }): Path<Named>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let request: RollbackRequest = json(&whole(body).await?)?;
    let terms = terms(&headers, request.watch, request.accept_loss)?;
    let id = job(&context, &scope, &name).await?;
    let changed = context.ask(move |server| server.roll_back(id, request.revision, terms)).await??;
    answer(&context, id, changed).await
}

async fn answer(context: &Context, id: JobId, changed: bool) -> Result<Response, Problem> {
    let detail: JobDetail = context.ask(move |server| server.detail(id)).await??;
    let status = if changed { StatusCode::ACCEPTED } else { StatusCode::OK };
    let current = detail.row.revision;
    Ok(tagged(json_response(status, &detail), current))
}

async fn read(context: &Context, id: JobId, number: u32) -> Result<RevisionDetail, Problem> {
    let files = context.ask(|server| server.job_files()).await?;
    let read = tokio::task::spawn_blocking(move || RevisionDetail::read(&files, id, number)).await;
    let broke =
        |error: tokio::task::JoinError| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "broke", error.to_string());
    Ok(read.map_err(broke)??)
}

fn number(text: &str) -> Result<u32, Problem> {
    let shown: String = text.chars().take(40).flat_map(char::escape_default).collect();
    text.parse().map_err(|_| Problem::bad("bad-revision", format!("\"{shown}\" is no number of a revision")))
}
