use sage_jobs::JobStatus;
use sage_serve::api::{Client, ClientError};
use sage_serve::live::{Look, StageRates};
use sage_serve::server::JobPage;
use sage_text::short_size;
use serde_json::{Value, json};

use super::args::TopArguments;
use super::connection::{connect, of_client};
use super::job_table::lines;
use super::logs::segment;
use crate::failure::Failure;
use crate::printer::Printer;

/// The command `top`: looks twice, and shows what happened in between.
pub(super) fn top(arguments: &TopArguments, printer: Printer) -> Result<(), Failure> {
    let client = connect(&arguments.server)?;
    let names = match &arguments.job {
        Some(job) => vec![segment(job)?.to_owned()],
        None => running(&client)?,
    };
    let first = statuses(&client, &names)?;
    std::thread::sleep(arguments.interval);
    let second = statuses(&client, &names)?;
    let mut rows = Vec::new();
    for (name, now) in &second {
        let before = first.iter().find(|(other, before)| other == name && before.attempt == now.attempt);
        let look = Look::between(before.map(|(_, before)| before), now);
        rows.extend(look.stages.into_iter().map(|rates| Row { job: name, rates }));
    }
    let text = || if rows.is_empty() { "no job runs\n".to_owned() } else { table(&rows) };
    let stages: Vec<Value> = rows.iter().map(Row::json).collect();
    printer.result(text, &json!({ "stages": stages }))
}

/// Names of the jobs that run, at most a page of them.
fn running(client: &Client) -> Result<Vec<String>, Failure> {
    let page: JobPage = client.get("/v1/jobs?state=running&limit=200").map_err(of_client)?;
    Ok(page.jobs.into_iter().map(|job| job.name.to_string()).collect())
}

fn statuses(client: &Client, names: &[String]) -> Result<Vec<(String, JobStatus)>, Failure> {
    let mut statuses = Vec::new();
    for name in names {
        match client.get(&format!("/v1/jobs/{name}/status")) {
            Ok(status) => statuses.push((name.clone(), status)),
            // A job may end meanwhile.
            Err(ClientError::Refused(problem)) if names.len() > 1 && problem.code != "not-the-owner" => {}
            Err(error) => return Err(of_client(error)),
        }
    }
    Ok(statuses)
}

struct Row<'a> {
    job: &'a str,
    rates: StageRates,
}

impl Row<'_> {
    fn json(&self) -> Value {
        json!({
            "job": self.job,
            "stage": self.rates.stage,
            "records_per_second": self.rates.records_per_second,
            "busy": self.rates.busy,
            "back_pressure": self.rates.back_pressure,
        })
    }
}

fn table(rows: &[Row<'_>]) -> String {
    let header =
        ["JOB", "STAGE", "KIND", "N", "REC/S", "BUSY", "QUEUE", "P99", "MEMORY", "REJECTED", "BREACHES", "RESTARTS"];
    let percent = |part: Option<f64>| part.map_or_else(|| "-".to_owned(), |part| format!("{:.0}%", part * 100.0));
    lines(
        header,
        rows.iter().map(|row| {
            let Row { job, rates } = row;
            let stage = &rates.stage;
            let memory = match (stage.memory_used, stage.memory_limit) {
                (Some(used), Some(limit)) => format!("{}/{}", short_size(used), short_size(limit)),
                _ => "-".to_owned(),
            };
            [
                (*job).to_owned(),
                stage.name.clone(),
                stage.kind.clone(),
                stage.instances.to_string(),
                rates.records_per_second.map_or_else(|| "-".to_owned(), |rate| format!("{rate:.0}")),
                percent(rates.busy),
                percent(rates.back_pressure),
                stage.latency_p99.map_or_else(|| "-".to_owned(), |seconds| format!("{:.1}ms", seconds * 1000.0)),
                memory,
                stage.rejected.to_string(),
                stage.breaches.to_string(),
                stage.restarts.to_string(),
            ]
        }),
    )
}
