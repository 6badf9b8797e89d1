use axum::Extension;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use sage_jobs::{LogItem, LogLevel, LogReader};
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::Sender;
use tokio::time::{Instant, sleep};

use super::bounds::{FOLLOW, HEARTBEAT};
use super::context::{Context, permit};
use super::follow::Form;
use super::job_routes::{Named, job};
use super::problem::Problem;
use super::query::Query;
use crate::access::Scope;
use crate::store::{EventLog, JobEvent, JobId};

pub(super) async fn logs(
    State(context): State<Context>,
    Extension(scope): Extension<Scope>,
    Path(Named { name }): Path<Named>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let query = Query::parse(query.as_deref(), &["since", "level", "operator", "follow", "format"])?;
    let form = Form::of(&query)?;
    let since = query.value("since", "the number of a line")?.unwrap_or(0);
    let level = query.text("level").map(level).transpose()?.unwrap_or(LogLevel::Trace);
    let operator = query.text("operator").map(str::to_owned);
    let follows = query.is_on("follow")?;
    let permit = permit(&context.followers, "readers of streams")?;
    let id = job(&context, &scope, &name).await?;
    let folder = context.ask(move |server| server.folder(id).logs()).await?;
    let (sender, response) = form.response();
    let reader = LogReader::new(folder, since);
    tokio::spawn(send_logs(Logs { context, id, reader, level, operator, follows, form, sender, _permit: permit }));
    Ok(response)
}

fn level(text: &str) -> Result<LogLevel, Problem> {
    serde_json::from_value(Value::from(text))
        .map_err(|_| Problem::bad("bad-parameter", "level must be trace, debug, info, warn or error"))
}

struct Logs {
    context: Context,
    id: JobId,
    reader: LogReader,
    level: LogLevel,
    operator: Option<String>,
    follows: bool,
    form: Form,
    sender: Sender<Bytes>,
    _permit: OwnedSemaphorePermit,
}

async fn send_logs(mut logs: Logs) {
    let mut beat = Instant::now();
    loop {
        // Asked before the lines are read: what a job wrote before its end is then read too.
        let is_over = !logs.follows || is_over(&logs.context, logs.id).await;
        loop {
            let items = logs.reader.next_lines();
            if items.is_empty() {
                break;
            }
            let text: String = items.iter().filter_map(|item| shown(&logs, item)).collect();
            if !text.is_empty() && logs.sender.send(text.into()).await.is_err() {
                return;
            }
            beat = Instant::now();
        }
        if is_over || !kept_alive(&logs.sender, logs.form, &mut beat).await {
            return;
        }
        sleep(FOLLOW).await;
    }
}

fn shown(logs: &Logs, item: &LogItem) -> Option<String> {
    match item {
        LogItem::Gap { after, before } => Some(logs.form.gap(*after, *before)),
        LogItem::Line(line) => {
            let wanted = line.level >= logs.level
                && logs.operator.as_deref().is_none_or(|operator| line.operator.as_deref() == Some(operator));
            let value = serde_json::to_value(line).ok().filter(|_| wanted)?;
            Some(logs.form.item("log", line.seq, &value))
        }
    }
}

async fn is_over(context: &Context, id: JobId) -> bool {
    context.ask(move |server| server.is_over(id)).await.unwrap_or(true)
}

/// Sends a heartbeat if it is time for one. `false`: the reader has gone.
async fn kept_alive(sender: &Sender<Bytes>, form: Form, beat: &mut Instant) -> bool {
    if beat.elapsed() >= HEARTBEAT {
        *beat = Instant::now();
        return sender.send(form.heartbeat().into()).await.is_ok();
    }
    !sender.is_closed()
}

pub(super) async fn events_of_job(
    State(context): State<Context>,
    Extension(scope): Extension<Scope>,
    Path(Named { name }): Path<Named>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let id = job(&context, &scope, &name).await?;
    let path = context.ask(move |server| server.events_file(id)).await?;
    let known = tokio::task::spawn_blocking(move || EventLog::read(&path)).await.unwrap_or_default();
    stream(context, query.as_deref(), Of::Job(id), known)
}

/// The events of all jobs of a tenant, or of all jobs.
pub(super) async fn events(
    State(context): State<Context>,
    Extension(scope): Extension<Scope>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    stream(context, query.as_deref(), Of::Scope(scope), Vec::new())
}

/// The jobs whose events a stream has.
enum Of {
    Job(JobId),
    Scope(Scope),
}

impl Of {
    fn has(&self, event: &JobEvent) -> bool {
        match self {
            Self::Job(id) => event.id == *id,
            Self::Scope(Scope { tenant: Some(tenant) }) => event.tenant.as_ref() == Some(tenant),
            Self::Scope(Scope { tenant: None }) => true,
        }
    }
}

/// Events of one job or of several: those that are known from a file, and then those of the feed.
fn stream(context: Context, query: Option<&str>, of: Of, known: Vec<JobEvent>) -> Result<Response, Problem> {
    let query = Query::parse(query, &["since", "follow", "format"])?;
    let form = Form::of(&query)?;
    let since: Option<u64> = query.value("since", "the number of an event")?;
    let follows = query.is_on("follow")?;
    let permit = permit(&context.followers, "readers of streams")?;
    let (sender, response) = form.response();
    // Without a number, all jobs together begin with what the server remembers, which is no gap.
    let is_all = matches!(of, Of::Scope(_));
    let begin = since.unwrap_or_else(|| {
        if is_all { context.feed.since(0).events.first().map_or(0, |event| event.seq - 1) } else { 0 }
    });
    tokio::spawn(async move {
        let _permit = permit;
        let mut last = begin;
        let old: String = known.iter().filter(|event| event.seq > begin).map(|event| text(form, event)).collect();
        // An event is in the feed before it is in the file, so none is missed between the two.
        last = known.last().map_or(last, |event| last.max(event.seq));
        if !old.is_empty() && sender.send(old.into()).await.is_err() {
            return;
        }
        let mut beat = Instant::now();
        loop {
            let is_over = !follows;
            let new = context.feed.since(last);
            let mut out = String::new();
            if let Some(first) = new.events.first().filter(|_| new.gap && is_all) {
                out.push_str(&form.gap(last, first.seq));
            }
            for event in new.events.iter().filter(|event| of.has(event)) {
                out.push_str(&text(form, event));
            }
            last = last.max(new.last);
            if !out.is_empty() {
                beat = Instant::now();
                if sender.send(out.into()).await.is_err() {
                    return;
                }
            }
            if is_over || !kept_alive(&sender, form, &mut beat).await {
                return;
            }
            sleep(FOLLOW).await;
        }
    });
    Ok(response)
}

fn text(form: Form, event: &JobEvent) -> String {
    form.item("state", event.seq, &serde_json::to_value(event).unwrap_or_default())
}
