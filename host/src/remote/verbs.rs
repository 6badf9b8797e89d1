use sage_serve::server::JobDetail;
use serde_json::{Value, json};

use super::args::JobsArguments;
use super::connection::{connect, of_client};
use super::logs::segment;
use crate::failure::Failure;
use crate::printer::Printer;

/// The command `start`.
pub(super) fn start(arguments: &JobsArguments, printer: Printer) -> Result<(), Failure> {
    each(arguments, "start", printer)
}

/// The command `restart`.
pub(super) fn restart(arguments: &JobsArguments, printer: Printer) -> Result<(), Failure> {
    each(arguments, "restart", printer)
}

fn each(arguments: &JobsArguments, verb: &str, printer: Printer) -> Result<(), Failure> {
    let client = connect(&arguments.server)?;
    let mut jobs = Vec::new();
    for name in &arguments.jobs {
        let path = format!("/v1/jobs/{}/{verb}", segment(name)?);
        let job: JobDetail = client.post(&path, &json!({})).map_err(of_client)?;
        jobs.push(job.row);
    }
    let text = || jobs.iter().map(|job| format!("{} is {}\n", job.name, job.state)).collect();
    printer.result(text, &json!({ "jobs": jobs }))
}

/// The command `rm`.
pub(super) fn rm(arguments: &JobsArguments, printer: Printer) -> Result<(), Failure> {
    let client = connect(&arguments.server)?;
    for name in &arguments.jobs {
        let path = format!("/v1/jobs/{}", segment(name)?);
        client.json::<Value>("DELETE", &path, &[], Vec::new()).map_err(of_client)?;
    }
    let text = || arguments.jobs.iter().map(|name| format!("removed {name}\n")).collect();
    printer.result(text, &json!({ "removed": arguments.jobs }))
}
