use axum::Extension;
use axum::extract::{Path, RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use sage_jobs::ControlRequest;
use tokio::time::timeout;

use super::bounds::{HEARTBEAT, LIVE_EVERY, LIVE_TIME};
use super::context::{Context, permit};
use super::follow::Form;
use super::job_routes::{Named, ask_job, job, json_response};
use super::live_look::watch;
use super::problem::Problem;
use super::query::Query;
use crate::access::Scope;
use crate::live::Look;

/// The rates of each stage of a job now. Once, as a stream, or as the text of its process for Prometheus.
pub(super) async fn metrics(
    State(context): State<Context>,
    Extension(scope): Extension<Scope>,
    Path(Named { name }): Path<Named>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let query = Query::parse(query.as_deref(), &["since", "follow", "format"])?;
    let id = job(&context, &scope, &name).await?;
    if query.text("format") == Some("openmetrics") {
        let text = ask_job(&context, id, ControlRequest::Metrics).await?;
        let kind = [(header::CONTENT_TYPE, crate::metrics::Format::OpenMetrics.content_type())];
        return Ok((kind, text.as_str().unwrap_or_default().to_owned()).into_response());
    }
    let form = Form::of(&query)?;
    let since: Option<u64> = query.value("since", "the number of a look")?;
    let follows = query.is_on("follow")?;
    let permit = permit(&context.followers, "readers of streams")?;
    if !follows {
        context.ask(move |server| server.live_attempt(id)).await??;
    }
    let watched = watch(&context, id);
    if !follows {
        let mut seen = 0;
        let whole = async {
            while watched.next(seen).await {
                let last = watched.history().last().cloned();
                match last {
                    Some(look) if look.is_whole() => return Some(look),
                    Some(look) => seen = look.seq,
                    None => return None,
                }
            }
            None
        };
        let look = timeout(LIVE_TIME + 3 * LIVE_EVERY, whole).await.ok().flatten();
        let over = || Problem::new(StatusCode::CONFLICT, "not-live", "the job has ended meanwhile");
        return Ok(json_response(StatusCode::OK, &look.ok_or_else(over)?));
    }
    let (sender, response) = form.response();
    tokio::spawn(async move {
        let _permit = permit;
        // Without a number, the stream begins with what is known, which is no gap.
        let known = watched.history().since(0).0.first().map_or(0, |first| first.seq - 1);
        let mut seen = since.unwrap_or(known);
        loop {
            let text = match timeout(HEARTBEAT, watched.next(seen)).await {
                Ok(false) => return,
                Err(_) => form.heartbeat().to_owned(),
                Ok(true) => {
                    let (looks, gap) = watched.history().since(seen);
                    let (text, last) = pieces(form, &looks, gap.then_some(seen));
                    seen = last.unwrap_or(seen);
                    text
                }
            };
            if sender.send(text.into()).await.is_err() {
                return;
            }
        }
    });
    Ok(response)
}

/// The text of looks, and the number of the last one.
fn pieces(form: Form, looks: &[Look], gap_after: Option<u64>) -> (String, Option<u64>) {
    let mut text = String::new();
    if let (Some(after), Some(first)) = (gap_after, looks.first()) {
        text.push_str(&form.gap(after, first.seq));
    }
    for look in looks {
        text.push_str(&form.item("metrics", look.seq, &serde_json::to_value(look).unwrap_or_default()));
    }
    (text, looks.last().map(|look| look.seq))
}
