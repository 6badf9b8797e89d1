use sage_observe::Screen;
use sage_serve::api::{Client, ClientError, RevisionRequest, RollbackRequest};
use sage_serve::server::{JobDetail, RevisionDetail};
use sage_serve::state::RolloutOutcome;

use super::connection::{connect, of_client, of_objection};
use super::logs::segment;
use super::revision_args::{RollbackArguments, RolloutArguments, RolloutTerms};
use super::submit::{Sendable, isolation};
use super::wait_for::wait_while;
use crate::ExitCode;
use crate::failure::Failure;
use crate::printer::Printer;

/// The command `rollout`: changes a job to another revision.
pub(super) fn rollout(arguments: &RolloutArguments, printer: Printer) -> Result<(), Failure> {
    let name = segment(&arguments.job)?;
    let sendable = Sendable::read(&arguments.pipeline)?;
    let client = connect(&arguments.server)?;
    sendable.uploads.send(&client)?;
    let request = RevisionRequest {
        pipeline: sendable.text,
        path: sendable.path,
        files: sendable.uploads.digests(),
        isolation: arguments.isolation.map(isolation),
        note: arguments.note.clone(),
        watch: Some(arguments.terms.watch()),
        accept_loss: arguments.terms.yes,
    };
    let body = || serde_json::to_vec(&request).map_err(|error| Failure::fault(error.to_string()));
    let path = format!("/v1/jobs/{name}");
    let job = match ask(&client, "PUT", &path, &arguments.terms, body()?) {
        // Files that the server has removed since it was asked for them are sent again.
        Err(ClientError::Refused(problem)) if problem.code == "files-missing" => {
            sendable.uploads.send(&client)?;
            ask(&client, "PUT", &path, &arguments.terms, body()?)
        }
        answer => answer,
    };
    follow(&client, name, job.map_err(of_client)?, &arguments.terms, printer)
}

/// The command `rollback`: changes a job to an earlier revision.
pub(super) fn rollback(arguments: &RollbackArguments, printer: Printer) -> Result<(), Failure> {
    let name = segment(&arguments.job)?;
    let client = connect(&arguments.server)?;
    let (watch, accept_loss) = (Some(arguments.terms.watch()), arguments.terms.yes);
    let request = RollbackRequest { revision: arguments.to, watch, accept_loss };
    let body = serde_json::to_vec(&request).map_err(|error| Failure::fault(error.to_string()))?;
    let job = ask(&client, "POST", &format!("/v1/jobs/{name}/rollback"), &arguments.terms, body);
    follow(&client, name, job.map_err(of_client)?, &arguments.terms, printer)
}

fn ask(
    client: &Client,
    method: &str,
    path: &str,
    terms: &RolloutTerms,
    body: Vec<u8>,
) -> Result<JobDetail, ClientError> {
    let tag = terms.if_revision.map(|revision| format!("\"{revision}\""));
    let mut headers = vec![("content-type", "application/json")];
    headers.extend(tag.as_deref().map(|tag| ("if-match", tag)));
    client.json(method, path, &headers, body)
}

impl RolloutTerms {
    fn watch(&self) -> u64 {
        u64::try_from(self.watch.as_millis()).unwrap_or(u64::MAX)
    }
}

/// Waits until a rollout is over, and says how it ended.
fn follow(client: &Client, name: &str, job: JobDetail, terms: &RolloutTerms, printer: Printer) -> Result<(), Failure> {
    let screen = Screen::stderr();
    let say = |words: &str| {
        if !terms.quiet {
            screen.print(&format!("{words}\n"));
        }
    };
    if job.rollout.is_none() && job.last_rollout.as_ref().is_none_or(|end| end.to == job.row.revision) {
        say(&format!("{name} runs revision {} already", job.row.revision));
        return printer.result(String::new, &job);
    }
    if terms.no_wait {
        return printer.result(String::new, &job);
    }
    let job = wait_while(
        client,
        name,
        |job| job.rollout.is_some(),
        |job| {
            let stage = job.rollout.as_ref().map(|rollout| format!("{:?}", rollout.stage).to_lowercase());
            let stage = stage.map(|stage| format!(", {stage}")).unwrap_or_default();
            say(&format!("{name} is {}, revision {}{stage}", job.row.state, job.row.revision));
        },
    )?;
    let Some(end) = job.last_rollout.clone() else { return printer.result(String::new, &job) };
    printer.result(String::new, &job)?;
    let in_result = |failure: Failure| if printer.is_json() { failure.in_result() } else { failure };
    let why = end.message.map(|message| format!(": {message}")).unwrap_or_default();
    match end.outcome {
        RolloutOutcome::Done => {
            say(&format!("{name} has revision {}{why}", end.to));
            Ok(())
        }
        RolloutOutcome::Refused => {
            let path = format!("/v1/jobs/{name}/revisions/{}", end.to);
            let refused: RevisionDetail = client.get(&path).map_err(of_client)?;
            let objection = refused.check.and_then(|check| check.objection);
            Err(in_result(match objection {
                Some(objection) => of_objection(&objection.error, &objection.text),
                None => Failure::new(ExitCode::PipelineFailed, format!("revision {} was not checked{why}", end.to)),
            })
            .hint(format!("{name} goes on with revision {}", end.from)))
        }
        RolloutOutcome::RolledBack => {
            let message = format!("revision {} failed, and revision {} is in force again{why}", end.to, end.from);
            Err(in_result(Failure::new(ExitCode::PipelineFailed, message))
                .hint(format!("`sage-host logs {name}` and `sage-host events {name}` say what happened")))
        }
        RolloutOutcome::Cancelled => {
            Err(in_result(Failure::new(ExitCode::Interrupted, format!("{name} was stopped meanwhile{why}"))))
        }
    }
}
