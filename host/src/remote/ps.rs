use sage_serve::server::{JobPage, JobRow};
use serde_json::json;

use super::args::PsArguments;
use super::connection::{connect, of_client};
use super::job_table::table;
use crate::failure::Failure;
use crate::printer::Printer;

/// Jobs of a page.
const PAGE: usize = 200;

/// The command `ps`.
pub(super) fn ps(arguments: &PsArguments, printer: Printer) -> Result<(), Failure> {
    let client = connect(&arguments.server)?;
    let state = if arguments.all { "" } else { "&state=live" };
    let mut jobs: Vec<JobRow> = Vec::new();
    let mut cursor = String::new();
    loop {
        let page: JobPage = client.get(&format!("/v1/jobs?limit={PAGE}{state}{cursor}")).map_err(of_client)?;
        jobs.extend(page.jobs);
        let Some(next) = page.next else { break };
        cursor = format!("&cursor={next}");
    }
    printer.result(|| text(&jobs, arguments.all), &json!({ "jobs": jobs }))
}

fn text(jobs: &[JobRow], all: bool) -> String {
    match jobs {
        [] if all => "there are no jobs\n".to_owned(),
        [] => "no job runs or waits; `sage-host ps -a` lists those that have ended\n".to_owned(),
        jobs => table(jobs),
    }
}
