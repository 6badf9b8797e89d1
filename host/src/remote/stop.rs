use sage_observe::Screen;
use sage_serve::server::JobDetail;
use serde_json::{Value, json};

use super::args::StopArguments;
use super::connection::{connect, of_client};
use super::logs::segment;
use super::savepoint::told;
use super::wait_for::wait_for;
use crate::failure::Failure;
use crate::printer::Printer;

/// The command `stop`: stops a job and waits for its end.
pub(super) fn stop(arguments: &StopArguments, printer: Printer) -> Result<(), Failure> {
    let client = connect(&arguments.server)?;
    let name = segment(&arguments.job)?;
    let screen = Screen::stderr();
    let ends = |job: &JobDetail| screen.print(&format!("{name} is {}\n", job.row.state));
    if let Some(savepoint) = &arguments.savepoint {
        let body = json!({ "name": savepoint, "stop": true });
        let taken: Value = client.post(&format!("/v1/jobs/{name}/savepoint"), &body).map_err(of_client)?;
        screen.print(&told(&taken));
        let job = wait_for(&client, name, |_| false, ends)?;
        return printer.result(String::new, &job);
    }
    let timeout = arguments.timeout.map(|timeout| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX));
    let mode = if arguments.abort { "abort" } else { "drain" };
    let _: JobDetail = client
        .post(&format!("/v1/jobs/{name}/stop"), &json!({ "mode": mode, "timeout": timeout }))
        .map_err(of_client)?;
    let job = wait_for(&client, name, |_| false, ends)?;
    printer.result(String::new, &job)
}
