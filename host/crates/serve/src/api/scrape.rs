use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Extension;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use sage_jobs::{ControlRequest, now};
use sage_plan::config::{TenantCeiling, TenantName};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::bounds::{ASKED_AT_ONCE, JOBS_WITH_SERIES, SCRAPE_JOB_TIME, SCRAPE_SAMPLES, SCRAPE_TIME};
use super::call_job::call_job;
use super::context::Context;
use super::problem::Problem;
use crate::access::Scope;
use crate::metrics::{ApiCounts, Exposition, Format, Kind, Reading, TenantSums};
use crate::server::{LiveJob, Numbers};

/// Counts the answers of each route.
pub(super) async fn count(State(counts): State<ApiCounts>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map(|path| format!("{} {}", request.method(), path.as_str()));
    let response = next.run(request).await;
    counts.count(route.as_deref().unwrap_or("other"), response.status().as_u16());
    response
}

/// The metrics of the server and of all jobs. A tenant's token gets those of its jobs.
pub(super) async fn metrics(
    State(context): State<Context>,
    Extension(scope): Extension<Scope>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let format = Format::accepted(accept);
    // One at a time: a second scraper waits for its turn and does not double the work of jobs.
    let _turn = context.scrapes.lock().await;
    let tenant = scope.tenant.clone();
    let numbers = context.ask(move |server| server.numbers(tenant.as_ref(), now())).await?;
    let mut all = Exposition::default();
    of_queue(&numbers, &mut all);
    if scope.tenant.is_none() {
        context.counts.write(&mut all);
    }
    of_tenants(&context.settings.tenants, &scope, &mut all);
    let answers = answers(&numbers.live).await;
    tokio::task::spawn_blocking(move || {
        of_jobs(&numbers.live, &answers, &mut all);
        ([(header::CONTENT_TYPE, format.content_type())], all.text(format)).into_response()
    })
    .await
    .map_err(|error| Problem::new(axum::http::StatusCode::INTERNAL_SERVER_ERROR, "broke", error.to_string()))
}

fn of_queue(numbers: &Numbers, all: &mut Exposition) {
    all.own("sage_build", Kind::Info, "The program that runs here", &[("version", env!("CARGO_PKG_VERSION"))], 1.0);
    let help = "Whether the state folder takes no writes, so that no new work is taken";
    all.own("sage_serve_read_only", Kind::Gauge, help, &[], if numbers.read_only { 1.0 } else { 0.0 });
    for ((tenant, state), count) in &numbers.jobs {
        let labels = [("tenant", tenant.as_str()), ("state", *state)];
        all.own("sage_jobs", Kind::Gauge, "Jobs by state", &labels, *count as f64);
    }
    for (tenant, milliseconds) in &numbers.oldest {
        let help = "Time for which the job that was queued first has waited";
        all.own("sage_queue_oldest_seconds", Kind::Gauge, help, &[("tenant", tenant)], *milliseconds as f64 / 1000.0);
    }
    for (tenant, waits) in &numbers.waits {
        waits.write(tenant, all);
    }
}

/// The ceilings of the tenants that the scraper sees.
fn of_tenants(tenants: &BTreeMap<TenantName, TenantCeiling>, scope: &Scope, all: &mut Exposition) {
    let sees = |tenant: &TenantName| scope.tenant.as_ref().is_none_or(|own| own == tenant);
    for (tenant, ceiling) in tenants.iter().filter(|(tenant, _)| sees(tenant)) {
        let amount = |ten_thousandths: u64| ten_thousandths as f64 / 10_000.0;
        let known = [("cpus", ceiling.cpus.map(amount)), ("memory", ceiling.memory.map(|bytes| bytes as f64))];
        let custom = ceiling.resources.iter().map(|(name, most)| (name.as_str(), amount(*most)));
        for (resource, most) in known.into_iter().filter_map(|(name, most)| Some((name, most?))).chain(custom) {
            let labels = [("tenant", tenant.as_str()), ("resource", resource)];
            all.own("sage_tenant_ceiling", Kind::Gauge, "Most that a tenant may have, as in host.toml", &labels, most);
        }
    }
}

/// The texts of jobs, in their order; `None` for a job that does not answer in time.
async fn answers(jobs: &[LiveJob]) -> Vec<Option<String>> {
    let until = Instant::now() + SCRAPE_TIME;
    let at_once = Arc::new(Semaphore::new(ASKED_AT_ONCE));
    let mut asked = JoinSet::new();
    for (number, job) in jobs.iter().enumerate() {
        let (at_once, socket) = (Arc::clone(&at_once), job.socket.clone());
        asked.spawn(async move {
            let _turn = at_once.acquire_owned().await.ok()?;
            let answer = call_job(&socket, &ControlRequest::Metrics, SCRAPE_JOB_TIME).await.ok()?;
            Some((number, answer.as_str()?.to_owned()))
        });
    }
    let mut answers = vec![None; jobs.len()];
    while let Ok(Some(answered)) = timeout_at(until, asked.join_next()).await {
        if let Ok(Some((number, text))) = answered
            && let Some(answer) = answers.get_mut(number)
        {
            *answer = Some(text);
        }
    }
    answers
}

fn of_jobs(jobs: &[LiveJob], answers: &[Option<String>], all: &mut Exposition) {
    let each = jobs.len() <= JOBS_WITH_SERIES;
    let mut sums = TenantSums::default();
    let (mut dropped, mut silent) = (0, 0);
    let mut memory: BTreeMap<&str, f64> = BTreeMap::new();
    for (job, answer) in jobs.iter().zip(answers) {
        let labels = [("tenant", job.tenant.as_str()), ("job", job.name.as_str())];
        if each {
            let help = "Whether the process of the job answered this scrape";
            all.own("sage_job_up", Kind::Gauge, help, &labels, if answer.is_some() { 1.0 } else { 0.0 });
            let help = "Number of the job's attempt";
            all.own("sage_job_attempt", Kind::Gauge, help, &labels, f64::from(job.attempt));
            let help = "Restarts after crashes and failures without a healthy attempt between them";
            all.own("sage_job_restarts_in_a_row", Kind::Gauge, help, &labels, f64::from(job.restarts_in_a_row));
        }
        let Some(text) = answer else {
            silent += 1;
            continue;
        };
        for (number, read) in Reading::new(text).enumerate() {
            match read {
                Some((family, mut sample)) if number < SCRAPE_SAMPLES && family.name != "sage_build" => {
                    if family.name == "sage_memory_bytes" {
                        *memory.entry(job.tenant.as_str()).or_default() += sample.value;
                    }
                    sample.labels.retain(|(name, _)| name != "tenant" && name != "job");
                    if each {
                        let own = labels.map(|(name, value)| (name.to_owned(), value.to_owned()));
                        sample.labels.splice(0..0, own);
                        all.add(family, &sample);
                    } else {
                        // What makes no sum is not missing: it is not meant to be there.
                        sums.add(&job.tenant, family, sample);
                    }
                }
                Some((family, _)) if family.name == "sage_build" => {}
                _ => dropped += 1,
            }
        }
    }
    for (tenant, bytes) in memory {
        let labels = [("tenant", tenant), ("resource", "memory")];
        let help = "Use of a tenant's jobs: memory of their instances";
        all.own("sage_tenant_used", Kind::Gauge, help, &labels, bytes);
    }
    sums.write(all);
    all.drop_lines(dropped);
    let help = "Jobs with a process that did not answer this scrape in time";
    all.own("sage_jobs_silent", Kind::Gauge, help, &[], f64::from(silent));
}
