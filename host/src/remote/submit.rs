use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sage_jobs::{JobCheck, JobIsolation};
use sage_machine::read_plain_file;
use sage_observe::Screen;
use sage_plan::config::parse;
use sage_runtime::engine::JobError;
use sage_serve::api::{Client, ClientError, JobRequest};
use sage_serve::server::JobDetail;
use sage_serve::state::RestartOn;
use sage_serve::store::JobName;

use super::args::{Restart, SubmitArguments, WaitUntil};
use super::connection::{connect, of_client};
use super::ended::outcome;
use super::explain::report_table;
use super::uploads::Uploads;
use super::wait_for::{is_over, wait_for};
use crate::failure::Failure;
use crate::isolation::Isolation;
use crate::printer::Printer;
use crate::refusal::of_job;

/// Largest pipeline file.
const LARGEST: u64 = 1 << 20;

/// The command `submit`.
pub(super) fn submit(arguments: &SubmitArguments, printer: Printer) -> Result<(), Failure> {
    let sendable = Sendable::read(&arguments.pipeline)?;
    let client = connect(&arguments.server)?;
    let request = request(arguments, &sendable)?;
    let uploads = sendable.uploads;
    let screen = Screen::stderr();
    let say = |words: &str| {
        if !arguments.quiet {
            screen.print(&format!("{words}\n"));
        }
    };
    match uploads.send(&client)? {
        0 => {}
        1 => say("1 file was sent"),
        sent => say(&format!("{sent} files were sent")),
    }
    if arguments.dry_run {
        let check: JobCheck = post(&client, &request, &uploads)?;
        let text = || match &check.report {
            Some(report) => report_table(report),
            None => "valid; other runs hold what it asks for, so it would wait\n".to_owned(),
        };
        return printer.result(text, &check);
    }
    let job: JobDetail = post(&client, &request, &uploads)?;
    let name = job.row.name.to_string();
    let mut said = String::new();
    let job = wait_for(
        &client,
        &name,
        |job| is_far_enough(job, arguments.wait),
        |job| {
            let why = job.row.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
            // A job that waits tries again and again.
            let tries_again = job.row.state == "starting" && job.row.why.is_some();
            let line = format!("{name} is {}{why}", job.row.state);
            if !tries_again && line != said {
                say(&line);
                said = line;
            }
        },
    )?;
    if is_over(&job) {
        // A job that ended at once has ended well or badly, and a client that waits for less wants to know it too.
        printer.result(String::new, &job)?;
        return outcome(&job).map_err(|failure| if printer.is_json() { failure.in_result() } else { failure });
    }
    printer.result(String::new, &job)
}

/// Submits. Files that the server has removed since it was asked for them are sent again.
fn post<T: serde::de::DeserializeOwned>(
    client: &Client,
    request: &JobRequest,
    uploads: &Uploads,
) -> Result<T, Failure> {
    match client.post("/v1/jobs", request) {
        Err(ClientError::Refused(problem)) if problem.code == "files-missing" => {
            uploads.send(client)?;
            client.post("/v1/jobs", request).map_err(of_client)
        }
        answer => answer.map_err(of_client),
    }
}

/// A pipeline file and the files that it names, read and parsed.
pub(super) struct Sendable {
    /// The text of the pipeline file.
    pub(super) text: String,
    /// Its absolute path.
    pub(super) path: PathBuf,
    /// The components and models that it names.
    pub(super) uploads: Uploads,
}

impl Sendable {
    /// Reads a pipeline file. Its errors have a line and a caret.
    pub(super) fn read(written: &Path) -> Result<Self, Failure> {
        let unread = |cause| of_job(&JobError::Read { path: written.to_owned(), cause });
        let bytes = read_plain_file(written, LARGEST).map_err(unread)?;
        let parsed = parse(&written.display().to_string(), &bytes);
        if !parsed.diagnostics.is_empty() {
            return Err(of_job(&JobError::Invalid(parsed.diagnostics)));
        }
        let base = written.parent().unwrap_or(Path::new(""));
        let uploads = Uploads::find(&parsed.pipeline, base)?;
        let unfound = |error| Failure::invalid(format!("cannot find {}: {error}", written.display()));
        let path = std::fs::canonicalize(written).map_err(unfound)?;
        Ok(Self { text: String::from_utf8_lossy(&bytes).into_owned(), path, uploads })
    }
}

/// The isolation in the words of the API.
pub(super) fn isolation(written: Isolation) -> JobIsolation {
    match written {
        Isolation::Thread => JobIsolation::Thread,
        Isolation::Process => JobIsolation::Process,
    }
}

fn request(arguments: &SubmitArguments, sendable: &Sendable) -> Result<JobRequest, Failure> {
    let name: Option<JobName> = arguments.name.as_deref().map(str::parse).transpose().map_err(Failure::invalid)?;
    Ok(JobRequest {
        name,
        pipeline: sendable.text.clone(),
        path: sendable.path.clone(),
        files: sendable.uploads.digests(),
        restart: arguments.restart.map(|restart| match restart {
            Restart::Never => RestartOn::Never,
            Restart::Crash => RestartOn::Crash,
            Restart::Failure => RestartOn::Failure,
        }),
        drain_timeout: Some(u64::try_from(arguments.drain_timeout.as_millis()).unwrap_or(u64::MAX)),
        isolation: arguments.isolation.map(isolation),
        labels: labels(&arguments.labels)?,
        dry_run: arguments.dry_run,
    })
}

fn labels(written: &[String]) -> Result<BTreeMap<String, String>, Failure> {
    let pair = |label: &String| {
        let pair = label.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
        pair.ok_or_else(|| Failure::invalid(format!("\"{label}\" is no label: write KEY=VALUE")))
    };
    written.iter().map(pair).collect()
}

/// Without `--wait`, the command returns when the pipeline is known to be valid.
fn is_far_enough(job: &JobDetail, wait: Option<WaitUntil>) -> bool {
    match wait {
        None => job.row.state != "checking",
        Some(WaitUntil::Running) => job.row.state == "running",
        Some(WaitUntil::Done) => false,
    }
}
