use std::time::Duration;

use sage_jobs::{JobStage, JobStatus};
use sage_serve::api::{Client, ClientError};
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
        let seconds =
            before.map_or(0.0, |(_, before)| Duration::from_millis(now.at.saturating_sub(before.at)).as_secs_f64());
        for stage in &now.stages {
            let earlier = before.and_then(|(_, before)| before.stages.iter().find(|other| other.name == stage.name));
            rows.push(Row { job: name, stage, earlier, seconds });
        }
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
    stage: &'a JobStage,
    earlier: Option<&'a JobStage>,
    seconds: f64,
}

impl Row<'_> {
    /// Growth per second between the two looks.
    fn rate(&self, of: impl Fn(&JobStage) -> f64) -> Option<f64> {
        let grown = of(self.stage) - of(self.earlier?);
        (self.seconds > 0.0).then_some(grown / self.seconds)
    }

    fn records(stage: &JobStage) -> f64 {
        // A source takes nothing in.
        if stage.kind == "source" { stage.records_out as f64 } else { stage.records_in as f64 }
    }

    /// The part of its instances' time that it computes.
    fn busy(&self) -> Option<f64> {
        Some(self.rate(|stage| stage.cpu_seconds)? / f64::from(self.stage.instances.max(1)))
    }

    /// The filled part of the queue in front of it.
    fn back_pressure(&self) -> Option<f64> {
        (self.stage.queue_limit > 0).then(|| self.stage.queue_bytes as f64 / self.stage.queue_limit as f64)
    }

    fn json(&self) -> Value {
        json!({
            "job": self.job,
            "stage": self.stage,
            "records_per_second": self.rate(Self::records),
            "busy": self.busy(),
            "back_pressure": self.back_pressure(),
        })
    }
}

fn table(rows: &[Row<'_>]) -> String {
    let header = ["JOB", "STAGE", "KIND", "N", "REC/S", "BUSY", "QUEUE", "MEMORY", "REJECTED", "BREACHES", "RESTARTS"];
    let percent = |part: Option<f64>| part.map_or_else(|| "-".to_owned(), |part| format!("{:.0}%", part * 100.0));
    lines(
        header,
        rows.iter().map(|row| {
            let memory = match (row.stage.memory_used, row.stage.memory_limit) {
                (Some(used), Some(limit)) => format!("{}/{}", short_size(used), short_size(limit)),
                _ => "-".to_owned(),
            };
            [
                row.job.to_owned(),
                row.stage.name.clone(),
                row.stage.kind.clone(),
                row.stage.instances.to_string(),
                row.rate(Row::records).map_or_else(|| "-".to_owned(), |rate| format!("{rate:.0}")),
                percent(row.busy()),
                percent(row.back_pressure()),
                memory,
                row.stage.rejected.to_string(),
                row.stage.breaches.to_string(),
                row.stage.restarts.to_string(),
            ]
        }),
    )
}
