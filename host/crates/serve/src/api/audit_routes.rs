use axum::extract::{RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use super::context::Context;
use super::problem::Problem;
use super::query::Query;

/// Entries of an answer, by default and at most.
const PAGE: usize = 1000;

/// The lines of the audit log, as they are on disk, so that a reader can check the chain.
pub(super) async fn read(State(context): State<Context>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let query = Query::parse(query.as_deref(), &["since", "limit", "last"])?;
    let since = query.value("since", "the number of an entry")?.unwrap_or(0);
    let limit = query.value("limit", "a number of entries")?.unwrap_or(PAGE);
    if limit == 0 || limit > PAGE {
        return Err(Problem::bad("bad-parameter", format!("limit is {limit}, it must be 1 to {PAGE}")));
    }
    let last: Option<usize> = query.value("last", "a number of entries")?;
    if last.is_some_and(|last| last == 0 || last > PAGE || query.text("since").is_some()) {
        return Err(Problem::bad("bad-parameter", format!("last must be 1 to {PAGE}, and without since")));
    }
    let audit = context.access.audit.clone();
    let read = tokio::task::spawn_blocking(move || match last {
        Some(last) => audit.read_last(last),
        None => audit.read(since, limit),
    })
    .await;
    let broke =
        |error: tokio::task::JoinError| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "broke", error.to_string());
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], read.map_err(broke)??).into_response())
}
