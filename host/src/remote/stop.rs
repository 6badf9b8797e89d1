use sage_observe::Screen;
use sage_serve::server::JobDetail;
use serde_json::json;

use super::args::StopArguments;
use super::connection::{connect, of_client};
use super::logs::segment;
use super::wait_for::wait_for;
use crate::failure::Failure;
use crate::printer::Printer;

/// The command `stop`: stops a job and waits for its end.
pub(super) fn stop(arguments: &StopArguments, printer: Printer) -> Result<(), Failure> {
    let client = connect(&arguments.server)?;
    let name = segment(&arguments.job)?;
    let timeout = arguments.timeout.map(|timeout| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX));
    let mode = if arguments.abort { "abort" } else { "drain" };
    let _: JobDetail = client
        .post(&format!("/v1/jobs/{name}/stop"), &json!({ "mode": mode, "timeout": timeout }))
        .map_err(of_client)?;
    let screen = Screen::stderr();
    let job = wait_for(&client, name, |_| false, |job| screen.print(&format!("{name} is {}\n", job.row.state)))?;
    printer.result(String::new, &job)
}
